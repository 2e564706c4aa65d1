#pragma once
#include <cuda_runtime.h>

#include <chrono>
#include <optional>
#include <vector>

#include "calibrate/measure/common/sampling.hpp"
#include "calibrate/measure/nccl/plan/plan.hpp"
#include "calibrate/measure/nccl/random_data.hpp"
#include "calibrate/measure/nccl/world.hpp"

namespace sextant::nccl {

/// Time and correctness of one operation at one size.
struct PointResult {
  Layout counts;
  measure::SampleSummary us;       ///< microseconds of one operation
  std::optional<long long> wrong;  ///< elements, over all members; empty: not checked
  bool ping_pong = false;          ///< a send whose time is half the round trip
};

/// Measures points with the buffers and communicators of a World. Every process of the run measures the same
/// points in the same order; decisions are taken on values that all have.
class PointRunner {
 public:
  PointRunner(World&, const Options&, const EffortLimits&, std::size_t pool_bytes);

  /// Whether both buffers of that size fit into the pools.
  bool fits(const Block&, std::uint64_t bytes) const;
  PointResult measure(const Block&, std::uint64_t bytes, bool in_place);

 private:
  /// What a point does, worked out once.
  struct Point {
    const Block* block = nullptr;
    Layout counts;
    std::size_t element_bytes = 0, stride_bytes = 0, slots = 0;
    bool in_place = false, ping_pong = false;
    const std::vector<ncclComm_t>* comms = nullptr;
    int iterations = 1;                   ///< of one batch
    std::vector<cudaGraphExec_t> graphs;  ///< one for each local rank, when replayed
  };
  struct GraphsOf;

  Point prepare(const Block&, std::uint64_t bytes, bool in_place);
  void fill_inputs(DataType);
  void warm_up(const Point&);
  int choose_iterations(const Point&);
  void capture(Point&);
  /// One batch behind a lead-in that is not timed: microseconds of each member's batch, agreed on by all
  /// processes.
  std::vector<double> timed_batch(const Point&, std::size_t first_slot);
  double operations_per_batch(const Point&) const;
  double combine(const Point&, const std::vector<double>& member_us) const;
  measure::SampleSummary sample(const Point&);

  void poison(const Point&);
  void refill_in_place(const Point&);
  long long wrong_elements(const Point&);
  std::size_t used_slots(const Point&) const;

  void issue(const Point&, const std::vector<int>& mine, int iterations, std::size_t first_slot);
  void issue_phase(const Point&, const std::vector<int>& mine, std::size_t slot, int phase);
  void issue_one(const Point&, int local_index, std::size_t slot, int phase);
  int member_of(const Point&, int local_index) const;  ///< -1: outside of the group
  std::vector<int> members_among(const Point&, const std::vector<int>& mine) const;
  Expectation expectation(const Point&, int member, std::size_t slot) const;

  World& world_;
  const Options& options_;
  EffortLimits limits_;
  std::size_t pool_bytes_;
  std::optional<DataType> filled_;
};

}  // namespace sextant::nccl
