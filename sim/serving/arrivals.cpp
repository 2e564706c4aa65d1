#include "sim/serving/arrivals.hpp"

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "sim/kernel/portable_math.hpp"

namespace sextant {

ArrivalStream::ArrivalStream(const ArrivalProcess& process, std::int64_t count, RandomStream random)
    : process_(process), count_(count), random_(random) {
  const bool steady = process.stages.empty() && !process.ramp_up && std::isfinite(process.request_rate);
  if (!steady || !process.scaled_to_end) return;
  const double mean_ns = 1e9 / process.request_rate;
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += draw(mean_ns);
  random_ = random;
  if (sum > 0) scale_ = static_cast<double>(count) * mean_ns / sum;
}

double ArrivalStream::draw(double mean) {
  if (process_.burstiness == 1) return random_.exponential(mean);
  if (std::isinf(process_.burstiness)) return mean;
  return random_.gamma(process_.burstiness, mean / process_.burstiness);
}

double ArrivalStream::ramp_gap_ns() {
  const RampUp& ramp = *process_.ramp_up;
  const double progress =
      static_cast<double>(drawn_) / static_cast<double>(std::max<std::int64_t>(1, count_ - 1));
  const double rate =
      ramp.exponential ? ramp.start_rps * portable_exp(progress * portable_log(ramp.end_rps / ramp.start_rps))
                       : ramp.start_rps + (ramp.end_rps - ramp.start_rps) * progress;
  return draw(1e9 / rate);
}

std::optional<Time> ArrivalStream::next() {
  if (!process_.stages.empty()) return next_of_stages();
  if (!process_.ramp_up && std::isinf(process_.request_rate)) return Time{};
  const double gap = process_.ramp_up ? ramp_gap_ns() : scale_ * draw(1e9 / process_.request_rate);
  ++drawn_;
  const double whole = std::floor(gap + fraction_);
  fraction_ += gap - whole;
  if (!(whole < static_cast<double>(Time::max().ns - now_.ns)))  // nor NaN
    throw InputError("workload: found arrivals beyond 292 years, expected a higher request_rate");
  now_ += Time{static_cast<std::int64_t>(whole)};
  return now_;
}

/// A gap is drawn at rate 1 and then stretched: it ends where the stages' rates have added up to it.
std::optional<Time> ArrivalStream::next_of_stages() {
  double due = draw(1);
  for (; stage_ < process_.stages.size(); ++stage_) {
    const RateStage& stage = process_.stages[stage_];
    const bool endless = std::isinf(stage.duration_s);
    const double slope = endless ? 0 : (stage.end_rate - stage.request_rate) / stage.duration_s;
    const double rate = stage.request_rate + slope * in_stage_s_;
    const double left_s = stage.duration_s - in_stage_s_;
    if (!endless && (rate + stage.end_rate) / 2 * left_s < due) {
      due -= (rate + stage.end_rate) / 2 * left_s;
      stage_begin_s_ += stage.duration_s;
      in_stage_s_ = 0;
      continue;
    }
    // rate * t + slope * t^2 / 2 = due, in the form that loses no digits.
    in_stage_s_ += 2 * due / (rate + std::sqrt(std::max(0.0, rate * rate + 2 * slope * due)));
    const double at_ns = (stage_begin_s_ + in_stage_s_) * 1e9;
    if (!(at_ns < static_cast<double>(Time::max().ns)))  // nor NaN
      throw InputError("workload: found arrivals beyond 292 years, expected a higher request_rate");
    return Time{std::llround(at_ns)};
  }
  return std::nullopt;
}

}  // namespace sextant
