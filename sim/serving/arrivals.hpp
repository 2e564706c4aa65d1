#pragma once
#include <cstdint>
#include <optional>
#include <vector>

#include "sim/kernel/random.hpp"
#include "sim/kernel/time.hpp"

namespace sextant {

/// A stretch of time with its own rate of arrivals.
struct RateStage {
  double request_rate = 0;  ///< requests/s at its start; 0: a pause
  double end_rate = 0;      ///< requests/s at its end, reached in a straight line
  double duration_s = 0;    ///< infinity (the last stage only): until num_prompts have arrived
};

/// vLLM's --ramp-up-strategy: the rate goes from start to end by the number of the request, not by the clock.
struct RampUp {
  bool exponential = false;  ///< else linear
  double start_rps = 0, end_rps = 0;
};

/// How requests arrive in an open loop. Gaps are gamma-distributed of shape `burstiness`: 1 is Poisson,
/// infinity constant.
struct ArrivalProcess {
  double request_rate = 0;  ///< requests/s; infinity: all at time 0
  double burstiness = 1;
  std::vector<RateStage> stages;  ///< in place of request_rate
  std::optional<RampUp> ramp_up;  ///< in place of request_rate
  /// Steady rate only: scale all gaps so that the last of the requests comes at their number / rate, as vLLM
  /// does (vllm/benchmarks/serve.py, get_request).
  bool scaled_to_end = true;
};

/// Draws the times of arrivals, exact to the nanosecond over any number of them: gaps are summed in whole
/// nanoseconds and the fraction is carried to the next.
class ArrivalStream {
 public:
  /// Of `count` requests; 0: as many as the stages have.
  ArrivalStream(const ArrivalProcess&, std::int64_t count, RandomStream);
  /// The next arrival; nullopt after the end of the last stage. Throws InputError beyond 292 years.
  std::optional<Time> next();

 private:
  double draw(double mean);
  double ramp_gap_ns();
  std::optional<Time> next_of_stages();

  ArrivalProcess process_;
  std::int64_t count_;
  RandomStream random_;
  double scale_ = 1;
  Time now_;
  double fraction_ = 0;     // of a nanosecond, not yet in now_
  std::int64_t drawn_ = 0;  // arrivals so far
  std::size_t stage_ = 0;
  double stage_begin_s_ = 0, in_stage_s_ = 0;
};

}  // namespace sextant
