#pragma once
#include <string>
#include <vector>

#include "sim/fabric/flow_schedule.hpp"
#include "sim/fabric/nccl_paths.hpp"

namespace sextant {

/// Bytes from one GPU to another, as a placement or a collective asks for them.
struct Transfer {
  int from_gpu = 0;  ///< devices
  int to_gpu = 0;
  double bytes = 0;
  double limit_gbps = FlowEngine::no_limit;  ///< what one connection reaches by itself, 10^9 B/s
  Time start{};
  FlowLabel label{};            ///< which of equal paths
  bool waits_for_links = true;  ///< their latency passes first; false where it is counted elsewhere
};

/// How a transfer fared among others.
struct TransferResult {
  TransferPath path;
  double gbps = 0;      ///< its rate while all run at once
  double seconds = 0;   ///< from its start to its end, with what runs beside it meanwhile
  double queue_us = 0;  ///< that its last byte waits in full queues while all run at once; not in `seconds`
  bool paused = false;  ///< a pause reaches it from its bottleneck, which need not be on its way
  std::string bottleneck;  ///< "node-a/nic0 -> switch"; "its own limit"; "the same GPU"
};

/// The rates of transfers that all run at once, forever, and what holds each of them back. `seconds` stays 0.
/// Throws InputError where two GPUs have no way between them.
std::vector<TransferResult> steady_rates(NcclPaths&, const std::vector<Transfer>&);

/// The same, and how long each takes, event by event: those that end leave their share to the others.
std::vector<TransferResult> run_transfers(NcclPaths&, const std::vector<Transfer>&);

/// A congested link and how much of it is used.
struct LinkLoad {
  std::string name;
  double gbps = 0;
  double capacity_gbps = 0;
  int flows = 0;
};

/// The links that hold back one transfer or more while all run at once, most flows first.
std::vector<LinkLoad> bottleneck_links(NcclPaths&, const std::vector<Transfer>&);

}  // namespace sextant
