#pragma once
#include <string>
#include <utility>
#include <vector>

#include "calibrate/measure/nccl/plan/options.hpp"

namespace sextant::nccl {

/// What NCCL is told to use; empty or 0 leaves the choice to NCCL.
struct Variant {
  std::string algorithm, protocol;
  int channels = 0;  ///< most channels, for collectives and for send/recv

  bool forced() const { return !algorithm.empty() || !protocol.empty() || channels > 0; }
  /// "default", or "Ring LL128, at most 4 channels".
  std::string text() const;
  /// The NCCL_* variables to set before NCCL is loaded. NCCL reads some once per process, so each variant
  /// runs in a process of its own.
  std::vector<std::pair<std::string, std::string>> environment() const;
  bool operator==(const Variant&) const = default;
};

/// Largest message whose one-way time is taken as half a round trip; above it latency hardly matters.
inline constexpr std::uint64_t ping_pong_limit = std::uint64_t{256} << 20;

/// One table: an operation of one group in one way, over ascending sizes.
struct Block {
  Operation operation = Operation::all_reduce;
  std::vector<int> members;  ///< ranks of the run, ascending; for `send` from the first to the second
  DataType type = DataType::bfloat16;
  Reduction reduction = Reduction::sum;
  int root = 0;  ///< index into members
  bool graph = false;
  bool in_place = false;  ///< measured in place as well
  std::vector<std::uint64_t> sizes;

  /// "all_reduce of GPUs 0-3, bfloat16, graph".
  std::string text() const;
};

/// What one process (of each place in the launch) measures; blocks that cover everything coarsely come first.
struct Process {
  Variant variant;
  std::vector<Block> blocks;
};

struct Plan {
  std::vector<Process> processes;
  /// Operations times sizes, in place counted as well.
  std::size_t points() const;
};

std::size_t points(const Process&);

/// How long to measure one point and the whole run.
struct EffortLimits {
  double seconds_per_point = 0;
  double seconds = 0;  ///< of the whole run; 0: no limit
  double spread = 0;   ///< half the 95 % confidence interval over the median at which a point is done
  int least_samples = 0;
};
EffortLimits limits(const Options&);

/// Everything to be measured on `ranks` GPUs. Throws InputError for a group or root that is not there.
Plan make_plan(const Options&, int ranks);

/// Rough duration: each point's share, and the start of every process.
double estimated_seconds(const Plan&, const EffortLimits&);

/// What `--list` prints: every process with its environment, its blocks and their sizes, and the estimate.
std::string list_text(const Plan&, const EffortLimits&, int ranks);

/// "0-3" for consecutive ranks, else "0,2,5".
std::string ranks_text(const std::vector<int>& ranks);

}  // namespace sextant::nccl
