#include "models/profile/power.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr double mhz_per_ghz = 1000;

double relative_voltage(const PowerModel& model, double clock) {
  return 1 + model.voltage_slope_per_ghz.value * (clock - model.reference_mhz) / mhz_per_ghz;
}

/// Share of the memory's full rate that streaming work reaches at a clock.
double memory_rate(const PowerModel& model, double clock) {
  return std::min(1.0, clock / model.stream_saturation_mhz.value);
}

/// Cycles not skipped, as a clock: below what the lowest clock draws, static watts stay and the rest is cut.
double effective_clock(const PowerModel& model, double limit, Work work) {
  const double clock = clock_mhz(model, limit, work);
  const double drawn = watts(model, clock, work), idle = model.static_watts.value;
  if (drawn <= limit) return clock;
  return clock * std::max(0.0, limit - idle) / (drawn - idle);
}

double speed(const PowerModel& model, double limit, Work work) {
  const double clock = effective_clock(model, limit, work);
  return work == Work::tensor ? clock : memory_rate(model, clock);
}

void scale(OperatorModel& model, double tensor, double memory, double latency, const Spread& speed_spread,
           const std::string& rule) {
  model.grade = weakest(model.grade, Grade::scaled);
  model.source = fmt::format("{}: {}", rule, model.source);
  model.roofline.tflops *= tensor;
  model.roofline.memory_gbps *= memory;
  model.roofline.latency_us /= latency;
  model.spread.low /= speed_spread.high;
  model.spread.high /= speed_spread.low;
}

/// Under a lower limit than that at which it was watched, the same work has a lower clock.
GpuProfile at_load_limit(const GpuProfile& profile, double limit) {
  const LoadModel& load = *profile.load;
  if (!(limit > load.idle_watts) || limit > load.limit_watts)
    throw InputError(
        fmt::format("found a power limit of {} W for {}, expected more than the {} it draws idle "
                    "and at most {}",
                    limit, profile.gpu, load.idle_watts, load.limit_watts));
  GpuProfile result = profile;
  result.load->limit_watts = limit;
  result.provenance = fmt::format("at {} W; {}", limit, profile.provenance);
  return result;
}

}  // namespace

double watts(const PowerModel& model, double clock, Work work) {
  const bool tensor = work == Work::tensor;
  const double capacitance = (tensor ? model.tensor_watts_per_mhz : model.stream_watts_per_mhz).value;
  const double voltage = relative_voltage(model, clock);
  return model.static_watts.value + (tensor ? 0 : model.memory_watts.value * memory_rate(model, clock)) +
         capacitance * clock * voltage * voltage;
}

double clock_mhz(const PowerModel& model, double limit, Work work) {
  double low = model.lowest_clock_mhz.value, high = model.highest_clock_mhz.value;
  if (watts(model, high, work) <= limit) return high;
  constexpr double resolution = 1e-6;
  while (high - low > resolution) {
    const double middle = (low + high) / 2;
    (watts(model, middle, work) <= limit ? low : high) = middle;
  }
  return low;
}

double watts_under(const PowerModel& model, double limit, Work work) {
  return std::min(limit, watts(model, clock_mhz(model, limit, work), work));
}

double relative_speed(const PowerModel& model, double limit, Work work, double than_watts) {
  return speed(model, limit, work) / speed(model, than_watts, work);
}

double relative_speed(const PowerModel& model, double limit, Work work) {
  return relative_speed(model, limit, work, model.default_watts.value);
}

GpuProfile at_power_limit(const GpuProfile& profile, double limit) {
  if (!profile.power && profile.load) return at_load_limit(profile, limit);
  if (!profile.power)
    throw InputError(fmt::format("found a power limit of {} W for {}, expected none: it has no power model",
                                 limit, profile.gpu));
  const PowerModel& power = *profile.power;
  if (!(limit >= power.lowest_watts.value) || !(limit <= power.highest_watts.value))
    throw InputError(fmt::format("found a power limit of {} W for {}, expected {} to {}", limit, profile.gpu,
                                 power.lowest_watts.value, power.highest_watts.value));
  GpuProfile result = profile;
  if (limit == power.default_watts.value) return result;
  const double tensor = relative_speed(power, limit, Work::tensor);
  const double memory = relative_speed(power, limit, Work::stream);
  const double latency = effective_clock(power, limit, Work::stream) /
                         effective_clock(power, power.default_watts.value, Work::stream);
  const Spread spread{std::min(power.tensor_spread.low, power.stream_spread.low),
                      std::max(power.tensor_spread.high, power.stream_spread.high)};
  const std::string rule = fmt::format("at {} W: arithmetic x {:.3f}, memory x {:.3f}, latency / {:.3f}",
                                       limit, tensor, memory, latency);
  for_each_model(result, [&](const ModelName&, OperatorModel& model) {
    scale(model, tensor, memory, latency, spread, rule);
  });
  result.provenance = fmt::format("{}; {}", rule, result.provenance);
  return result;
}

GpuProfile at_clock(const GpuProfile& profile, double relative, std::optional<double> limit_watts) {
  if (!(relative > 0) || !(relative <= 1))
    throw InputError(
        fmt::format("found a clock of {} of the usual one for {}, expected more than 0 and at most 1",
                    relative, profile.gpu));
  double memory = 1;
  if (profile.power) {
    const double usual = effective_clock(
        *profile.power, limit_watts.value_or(profile.power->default_watts.value), Work::stream);
    memory = memory_rate(*profile.power, usual * relative) / memory_rate(*profile.power, usual);
  }
  GpuProfile result = profile;
  const std::string rule =
      fmt::format("at {:.4g} % clock: arithmetic x {:.3f}, memory x {:.3f}, latency / {:.3f}", 100 * relative,
                  relative, memory, relative);
  for_each_model(result, [&](const ModelName&, OperatorModel& model) {
    scale(model, relative, memory, relative, {1, 1}, rule);
  });
  // What is slower draws less, so that the limit holds it back less or not at all.
  if (result.load)
    for (auto& [unused, work] : result.load->works)
      for (double& watts : work.watts)
        watts = result.load->idle_watts +
                (watts - result.load->idle_watts) * std::pow(relative, result.load->clock_exponent);
  result.provenance = fmt::format("{}; {}", rule, result.provenance);
  return result;
}

}  // namespace sextant
