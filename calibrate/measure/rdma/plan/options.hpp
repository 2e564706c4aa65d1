#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/rdma/plan/operation.hpp"

namespace sextant::rdma {

/// The command line of `sextant-measure rdma`: perftest's flags where they exist, and ours in long form.
struct Options {
  // this end's own affair
  bool server = false, keep = false, quiet = false, resume = false, help = false, list = false;
  std::string host;    ///< empty on a server
  std::string device;  ///< empty: the only one
  int ib_port = 1;
  std::optional<int> gid_index;
  int port = 18515;
  int gpu = -1;  ///< -1: host memory only
  double connect_seconds = 5, patience_seconds = 5;
  double wait_seconds = -1;  ///< of a server for a client; below 0: for ever
  std::string output, samples, source, pair;
  bool corrupt_byte = false;  ///< to test the check: damages what this end supplies

  // what both ends must agree on
  std::vector<Operation> operations = rdma::operations();
  std::vector<Test> tests = {Test::bandwidth, Test::latency};
  std::vector<std::int64_t> sizes = all_sizes();
  std::vector<int> qps = {1};
  bool both_ways = false;
  int tx_depth = 128, rx_depth = 512;
  std::optional<int> inline_bytes;  ///< empty: perftest's choice, 0 for bandwidth and up to 236 for latency
  std::optional<int> cq_moderation;
  std::optional<int> mtu;  ///< empty: the smaller of both ports'
  int service_level = 0, traffic_class = 0;
  int qp_timeout = 14;            ///< 4.096 us * 2^n
  std::optional<int> iterations;  ///< of one point and queue pair; empty: as the time allows
  double seconds = 1;             ///< of one point at most, unless iterations are given

  std::vector<std::string> arguments;  ///< as given
  std::map<std::string, std::string>
      given;  ///< settings named on this command line, as effective() words them

  bool gpu_memory() const { return gpu >= 0; }
  /// Every setting that both ends must agree on, in words.
  std::map<std::string, std::string> effective() const;
  /// Blocks in the order in which they run; with GPU memory each block follows its twin in host memory.
  std::vector<Block> blocks() const;
};

/// Reads the arguments after `rdma`. Throws InputError naming the option, what was found and what is
/// expected.
Options parse_options(const std::vector<std::string>& arguments);

/// What `--help` prints, with working examples.
std::string help_text();

/// The settings that differ, in words; empty when the server's given ones are all as the client has them.
std::string disagreement(const std::map<std::string, std::string>& client,
                         const std::map<std::string, std::string>& given_to_server);

}  // namespace sextant::rdma
