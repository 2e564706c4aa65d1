#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/nccl/plan/options.hpp"
#include "calibrate/measure/nccl/plan/rows.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::nccl {

/// One collective and one GEMM that run side by side.
struct OverlapPoint {
  Operation operation = Operation::all_reduce;
  std::uint64_t bytes = 0;
  int channels = 0;  ///< NCCL is held to; 0: its own choice
  bool high_priority = false;
  GemmShape gemm;

  /// "all_reduce of 64M, 8 channels, same priority, beside 16 x 8192 x 28672".
  std::string text() const;
};

/// All points, those of one number of channels together: each needs a communicator of its own. Throws
/// InputError for an operation that has none, fewer than two GPUs, several processes, or sizes that the host
/// cannot keep up with.
std::vector<OverlapPoint> overlap_points(const Options&, int ranks, int processes);

/// How much is measured of each point, and for how long in all.
struct OverlapEffort {
  int samples = 0;
  double seconds = 0;  ///< no point and no communicator is begun after it
};
OverlapEffort overlap_effort(const Options&);

/// Throws InputError "... skipped: no GPU ..." when fewer than two are visible; `reason` is the driver's
/// word.
void expect_gpus_for_overlap(int visible, const std::string& reason);

/// Operations of one kind enqueued in one stream: units of several, so that a unit is long beside what
/// reading the clock between two of them costs.
struct UnitCounts {
  int units = 0, per_unit = 1;
};

/// What both streams are given so that both are at work for about the same time, of at least 12 ms and five
/// of the longer units; times are those of one operation alone, in microseconds.
struct OverlapCounts {
  UnitCounts collective, gemm;
};
OverlapCounts overlap_counts(double collective_us, double gemm_us);

/// Mean time of a unit over several of them in a row.
struct Period {
  double us = 0;
  int units = 0;
};

/// `marks`: the start of a stream's first unit and the end of each. Leaves the first out; nothing with fewer
/// than two units.
std::optional<Period> period_alone(const std::vector<double>& marks);

/// Of the units that lie wholly between the end of the first unit of both streams and the end of the last
/// unit of the other; nothing where there is no such unit. All marks count from the same moment.
std::optional<Period> period_beside(const std::vector<double>& marks, const std::vector<double>& others);

/// The samples of one point: microseconds of one operation, mean over the GPUs.
struct OverlapSamples {
  std::vector<double> collective_alone, collective_beside, gemm_alone, gemm_beside;
  int least_units = 0;            ///< that a figure beside is the mean of
  double most_host_share = 0;     ///< time to enqueue over the time that the streams took
  unsigned least_mhz_alone = 0;   ///< clock while the GEMM ran alone; 0: not read
  unsigned least_mhz_beside = 0;  ///< and beside the collective
  bool throttled = false;         ///< heat or power brake
};

/// The medians, with a note on their spread. Throws Error without samples.
Measurement overlap_row(const OverlapPoint&, int ranks, const RowContext&, const OverlapSamples&,
                        const std::string& nccl_version);

std::string overlap_heading();
/// The row in one line, with how many times longer each takes beside the other.
std::string overlap_line(const OverlapPoint&, const OverlapRow&);
/// What `--list` prints.
std::string overlap_list_text(const std::vector<OverlapPoint>&, const OverlapEffort&, int ranks);

}  // namespace sextant::nccl
