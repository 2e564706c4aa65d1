#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "calibrate/measure/rdma/plan/gid_choice.hpp"
#include "calibrate/measure/rdma/plan/operation.hpp"
#include "models/base/json_reader.hpp"

namespace sextant::rdma {

/// Raised whenever a message of the conversation changes its meaning.
inline constexpr int protocol = 1;

/// What each end says first.
struct Hello {
  int protocol = rdma::protocol;
  std::string version;                          ///< of the program
  std::map<std::string, std::string> settings;  ///< the client's all, the server's given ones
  std::string host, device;
  Gid gid;
  int active_mtu = 0;
  double rate_gbps = 0;  ///< of the port
  bool gpu = false;      ///< has GPU memory to offer

  std::string write() const;
  static Hello read(const JsonObject&);
};

/// Why these two cannot measure together, in words for both; empty if they can.
std::string disagreement(const Hello& client, const Hello& server);

/// What the client asks for before the sizes of a block.
struct BlockRequest {
  Block block;                                                          ///< its sizes: the largest alone
  int tx_depth = 0, rx_depth = 0, inline_bytes = 0, cq_moderation = 0;  ///< 0: by default
  bool inline_given = false;
  int mtu = 0;
  int service_level = 0, traffic_class = 0, qp_timeout = 0;
  double patience_seconds = 0;

  std::string write() const;
  static BlockRequest read(const JsonObject&);
};

/// One end's queue pairs and where its data lie.
struct Endpoint {
  std::vector<std::uint32_t> numbers, first_packets;
  std::uint32_t lid = 0, key = 0;
  std::uint64_t supply_address = 0;  ///< what this end gives: read from here
  std::uint64_t intake_address = 0;  ///< what this end takes: written to here
  std::uint64_t slot_bytes = 0;      ///< between one queue pair's data and the next's

  std::string write() const;
  static Endpoint read(const JsonObject&);
};

/// One size of a block.
struct PointRequest {
  std::int64_t bytes = 0;
  std::int64_t iterations = 0;  ///< of each queue pair, at most
  double seconds = 0;           ///< at most; 0: no limit
  std::uint64_t seed = 0;

  std::string write() const;
  static PointRequest read(const JsonObject&);
};

/// What one end has to say after a point: its own stream, and the sums of what it supplied.
struct PointResult {
  double messages = 0, seconds = 0, best_rate = 0;  ///< rate: messages a second
  std::vector<std::uint64_t> sums;                  ///< one for each queue pair

  std::string write() const;
  static PointResult read(const JsonObject&);
};

}  // namespace sextant::rdma
