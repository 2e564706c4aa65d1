#include "calibrate/measure/common/sampling.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"

namespace sextant::measure {

std::string SampleSummary::note() const {
  std::string text = fmt::format("{} samples, {:.0f} % interval {:.6g} to {:.6g}", samples,
                                 100 * interval.confidence, interval.low, interval.high);
  const double half_width = 100 * interval.relative_half_width();
  const double wanted = 100 * rule.relative_half_width;
  switch (stop) {
    case Stop::converged:
      break;
    case Stop::stable:
      text += fmt::format("; stable at half width {:.2g} %, above {:.2g} %", half_width, wanted);
      break;
    case Stop::timed_out:
      text += fmt::format("; time-out of {:.3g} s left unmet: half width {:.2g} %, expected {:.2g} %",
                          rule.most_seconds, half_width, wanted);
      break;
    case Stop::samples_exhausted:
      text += fmt::format("; sample limit of {} left unmet: half width {:.2g} %, expected {:.2g} %",
                          rule.most_samples, half_width, wanted);
      break;
    case Stop::throttled:
      text += fmt::format("; ended after {} throttled samples in a row", rule.most_throttled_in_row);
      break;
  }
  if (throttled > 0) text += fmt::format("; {} throttled samples thrown away", throttled);
  return text;
}

void Sampler::add(double value, double seconds_spent) {
  values_.push_back(value);
  seconds_ += seconds_spent;
  throttled_in_row_ = 0;
  if (values_.size() >= rule_.least_samples)
    half_widths_.push_back(median_interval(values_).relative_half_width());
  judge();
}

void Sampler::add_throttled(double seconds_spent) {
  ++throttled_;
  ++throttled_in_row_;
  seconds_ += seconds_spent;
  judge();
}

bool Sampler::stable() const {
  if (half_widths_.size() < rule_.stable_window) return false;
  const auto begin = half_widths_.end() - static_cast<std::ptrdiff_t>(rule_.stable_window);
  const auto [low, high] = std::minmax_element(begin, half_widths_.end());
  return *high - *low <= rule_.stable_relative_change * *high;
}

void Sampler::judge() {
  const auto end = [&](Stop reason) {
    done_ = true;
    stop_ = reason;
  };
  if (throttled_in_row_ >= rule_.most_throttled_in_row) return end(Stop::throttled);
  if (values_.size() >= rule_.least_samples) {
    if (half_widths_.back() <= rule_.relative_half_width) return end(Stop::converged);
    if (throttled_in_row_ == 0 && stable()) return end(Stop::stable);
    if (values_.size() >= rule_.most_samples) return end(Stop::samples_exhausted);
    if (seconds_ >= rule_.most_seconds) return end(Stop::timed_out);
  }
}

SampleSummary Sampler::summary() const {
  if (values_.empty())
    throw Error(
        ExitCode::failure,
        fmt::format("all {} samples were throttled, expected at least one at full clock", throttled_));
  return {median_interval(values_), values_.size(), throttled_, stop_, rule_};
}

}  // namespace sextant::measure
