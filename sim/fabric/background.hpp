#pragma once
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

class NcclPaths;

/// What traffic beside it leaves to a transfer.
struct WhatIsLeft {
  double gbps = std::numeric_limits<double>::infinity();  ///< 10^9 B/s; infinite where it takes nothing
  double queue_us = 0;                                    ///< wait in queues that would be empty without it
};

/// What the model's transfers get where links have lost a part of their capacity and beside a cluster's
/// background traffic: every background flow runs all the
/// time and takes its max-min fair share of the links it crosses, up to what it asks for. Equal paths are
/// chosen by hash. Domain: traffic that lasts longer than the run's transfers and is steady; the model's own
/// transfers are looked at one hop or one ring at a time, as if no other were on the way. Safe to use from
/// several threads.
class BackgroundTraffic {
 public:
  /// Throws InputError, naming both ends, where a flow has no way.
  explicit BackgroundTraffic(const Cluster&);
  ~BackgroundTraffic();
  /// Of transfers (pairs of GPUs) that all run at once: the least rate, and the longest wait.
  WhatIsLeft left(const std::vector<std::pair<int, int>>& transfers) const;
  /// The least rate, 10^9 B/s, among transfers (pairs of GPUs) that all run at once; infinite where none of
  /// them is slower for the background.
  double rate_left(const std::vector<std::pair<int, int>>& transfers) const;

 private:
  struct Flows;
  std::unique_ptr<Flows> flows_;
};

/// The link directions of each background flow of the paths' cluster. Throws InputError, naming both ends,
/// where one has no way.
std::vector<std::vector<int>> background_ways(NcclPaths&);

/// Each GPU with the next, the last with the first.
std::vector<std::pair<int, int>> ring_of(const std::vector<int>& gpus);

}  // namespace sextant
