#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "calibrate/measure/common/statistics.hpp"

namespace sextant::measure {

/// When a measured point has been sampled enough.
struct StoppingRule {
  std::size_t least_samples = 5;
  std::size_t most_samples = 200;
  double most_seconds = 0.15;              ///< of measuring, warm-up not counted
  double relative_half_width = 0.01;       ///< of the median's 95 % interval: small enough
  std::size_t stable_window = 8;           ///< this many half-widths in a row ...
  double stable_relative_change = 0.10;    ///< ... that differ by no more than this: more samples do not help
  std::size_t most_throttled_in_row = 50;  ///< a GPU that never reaches its clock again ends the point
};

enum class Stop { converged, stable, timed_out, samples_exhausted, throttled };

/// What became of one point.
struct SampleSummary {
  MedianInterval interval;  ///< in the unit that was added
  std::size_t samples = 0;
  std::size_t throttled = 0;  ///< samples thrown away because the clock had dropped
  Stop stop = Stop::converged;
  StoppingRule rule;
  /// "21 samples, 95 % interval 10.2 to 10.4" and, unless converged, which condition was left unmet.
  std::string note() const;
};

/// Collects the samples of one point and says when there are enough.
class Sampler {
 public:
  explicit Sampler(StoppingRule rule) : rule_(rule) {}
  void add(double value, double seconds_spent);
  /// A sample taken while the clock was low: counted, not used.
  void add_throttled(double seconds_spent);
  bool done() const { return done_; }
  /// Throws Error if every sample was thrown away.
  SampleSummary summary() const;

 private:
  void judge();
  bool stable() const;
  StoppingRule rule_;
  std::vector<double> values_;
  std::vector<double> half_widths_;
  double seconds_ = 0;
  std::size_t throttled_ = 0;
  std::size_t throttled_in_row_ = 0;
  bool done_ = false;
  Stop stop_ = Stop::timed_out;
};

}  // namespace sextant::measure
