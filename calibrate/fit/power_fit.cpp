#include "calibrate/fit/power_fit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/math/tools/minima.hpp>
#include <cmath>
#include <set>

#include "calibrate/fit/fit_report.hpp"
#include "calibrate/fit/power_curve_fit.hpp"
#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

using detail::ClockPoint;

constexpr std::size_t fewest_clocks = 4;
constexpr double skipping_cycles =
    0.8;  // speed per clock relative to the median: below it, cycles are skipped
constexpr int search_bits = 30;

double drawn(const PowerRow& row) {
  return row.watts.value_or(row.watts_limit);
}

template <class Rows>
double median_speed_per_clock(const Rows& rows) {
  std::vector<double> ratios;
  for (const auto& r : rows)
    if (r.row.work == "tensor" && r.row.clock_mhz) ratios.push_back(r.row.relative_speed / *r.row.clock_mhz);
  return ratios.empty() ? 0 : quantile(ratios, 0.5);
}

/// The clocks of tensor-bound work at which no cycle was skipped, and the highest at which some were.
template <class Rows>
std::pair<std::vector<ClockPoint>, double> tensor_clocks(const Rows& rows) {
  const double usual = median_speed_per_clock(rows);
  std::vector<ClockPoint> clocks;
  double lowest = 0;
  for (const auto& r : rows) {
    if (r.row.work != "tensor" || !r.row.clock_mhz) continue;
    if (r.row.relative_speed / *r.row.clock_mhz < skipping_cycles * usual)
      lowest = std::max(lowest, *r.row.clock_mhz);
    else
      clocks.push_back({r.row.watts_limit, drawn(r.row), *r.row.clock_mhz});
  }
  return {clocks, lowest};
}

std::string limits_text(const std::vector<ClockPoint>& clocks) {
  const auto [low, high] = std::minmax_element(
      clocks.begin(), clocks.end(), [](const auto& a, const auto& b) { return a.limit < b.limit; });
  return fmt::format("{} to {} W", low->limit, high->limit);
}

void take_limits(PowerModel& model, const Gpu& gpu) {
  if (!gpu.power_watts || !gpu.lowest_power_watts || !gpu.highest_power_watts || !gpu.highest_clock_mhz)
    throw InputError(fmt::format(
        "catalogue: found no power limits or no highest clock of {}, expected both to fit its power",
        gpu.name));
  model.default_watts = *gpu.power_watts;
  model.lowest_watts = *gpu.lowest_power_watts;
  model.highest_watts = *gpu.highest_power_watts;
  model.highest_clock_mhz = *gpu.highest_clock_mhz;
}

/// Widest relative errors, measured over predicted, with 1 between them.
Spread widest(const std::vector<double>& ratios) {
  Spread spread;
  for (const double ratio : ratios) {
    spread.low = std::min(spread.low, ratio);
    spread.high = std::max(spread.high, ratio);
  }
  return spread;
}

template <class Rows>
std::vector<double> speed_ratios(const PowerModel& model, const Rows& rows, Work work) {
  const std::string word = work == Work::tensor ? "tensor" : "stream";
  std::vector<double> ratios;
  for (const auto& r : rows)
    if (r.row.work == word)
      ratios.push_back(r.row.relative_speed /
                       relative_speed(model, r.row.watts_limit, work,
                                      r.row.relative_to_watts.value_or(model.default_watts.value)));
  return ratios;
}

template <class Rows>
void fit_tensor(PowerModel& model, const Rows& rows) {
  const auto [clocks, lowest] = tensor_clocks(rows);
  if (clocks.size() < fewest_clocks)
    throw InputError(fmt::format("found {} clocks of tensor-bound work on {}, expected at least {}",
                                 clocks.size(), model.gpu, fewest_clocks));
  const detail::CurveFit curve = detail::fit_curve(clocks, model.reference_mhz);
  const std::string source = fmt::format("least squares over {} clocks under limits of {}: {}", clocks.size(),
                                         limits_text(clocks), rows.front().source);
  model.static_watts = {curve.static_watts, Grade::fitted, source, ""};
  model.tensor_watts_per_mhz = {curve.watts_per_mhz, Grade::fitted, source,
                                fmt::format("at the voltage of {} MHz", model.reference_mhz)};
  model.voltage_slope_per_ghz = {curve.slope_per_ghz, Grade::fitted, source, ""};
  if (lowest > 0)
    model.lowest_clock_mhz = {
        lowest, Grade::measured,
        "highest clock at which speed per clock had fallen by a fifth: " + rows.front().source, ""};
}

template <class Rows>
void fit_copy(PowerModel& model, const Rows& rows) {
  for (const auto& r : rows) {
    if (r.row.work != "copy" || !r.row.clock_mhz || !r.row.watts) continue;
    const double dynamic = *r.row.watts - model.static_watts.value - model.memory_watts.value;
    const double per_watt =
        detail::dynamic_shape(*r.row.clock_mhz, model.voltage_slope_per_ghz.value, model.reference_mhz);
    model.stream_watts_per_mhz = {
        dynamic / per_watt, weakest(Grade::fitted, model.memory_watts.grade),
        fmt::format("{} W drawn by a copy at {} MHz, less static and memory watts: {}", *r.row.watts,
                    *r.row.clock_mhz, r.source),
        ""};
  }
}

/// Least squares of the stream rows' relative speeds over the clock at which the memory is saturated.
template <class Rows>
void fit_saturation(PowerModel& model, const Rows& rows) {
  const auto count =
      std::count_if(rows.begin(), rows.end(), [](const auto& r) { return r.row.work == "stream"; });
  if (count == 0 || model.stream_watts_per_mhz.value <= 0) return;
  PowerModel trial = model;
  const auto error = [&](double saturation) {
    trial.stream_saturation_mhz.value = saturation;
    double sum = 0;
    for (const double ratio : speed_ratios(trial, rows, Work::stream)) sum += std::pow(std::log(ratio), 2);
    return sum;
  };
  if (trial.lowest_clock_mhz.value <= 0) return;
  const double best = boost::math::tools::brent_find_minima(error, trial.lowest_clock_mhz.value,
                                                            trial.highest_clock_mhz.value, search_bits)
                          .first;
  const auto row =
      std::find_if(rows.begin(), rows.end(), [](const auto& r) { return r.row.work == "stream"; });
  model.stream_saturation_mhz = {
      best, weakest(Grade::fitted, model.stream_watts_per_mhz.grade),
      fmt::format("least squares over {} served throughputs: {}", count, row->source),
      "takes all that was served for streaming"};
  model.stream_spread = widest(speed_ratios(model, rows, Work::stream));
}

void borrow(Figure& figure, const Figure& other, const std::string& from) {
  if (figure.value > 0) return;
  figure = other;
  figure.grade = weakest(other.grade, Grade::scaled);
  figure.source = fmt::format("as {}: {}", from, other.source);
}

/// What a GPU's own rows do not tell comes from the first GPU whose rows do.
void complete(std::vector<PowerModel>& models) {
  const auto whole = std::find_if(models.begin(), models.end(), [](const PowerModel& m) {
    return m.lowest_clock_mhz.value > 0 && m.stream_saturation_mhz.value > 0;
  });
  if (whole == models.end())
    throw InputError("power: found no GPU with rows of work copy and stream, expected one");
  const PowerModel source = *whole;
  for (PowerModel& model : models) {
    borrow(model.lowest_clock_mhz, source.lowest_clock_mhz, source.gpu);
    borrow(model.stream_saturation_mhz, source.stream_saturation_mhz, source.gpu);
    if (model.stream_watts_per_mhz.value <= 0) {
      borrow(model.stream_watts_per_mhz, source.stream_watts_per_mhz,
             source.gpu + ", share of tensor-bound work");
      model.stream_watts_per_mhz.value *=
          model.tensor_watts_per_mhz.value / source.tensor_watts_per_mhz.value;
    }
    if (model.stream_spread.low == 1 && model.stream_spread.high == 1)
      model.stream_spread = source.stream_spread;
  }
}

template <class Rows>
PowerModel same_curve(const PowerModel& other, const Gpu& gpu, const PowerRules::SameCurve& rule,
                      const Rows& rows) {
  PowerModel model = other;
  model.gpu = gpu.name;
  take_limits(model, gpu);
  const std::string why = fmt::format("as {}, {}: ", other.gpu, rule.source);
  for (Figure* figure :
       {&model.static_watts, &model.memory_watts, &model.tensor_watts_per_mhz, &model.stream_watts_per_mhz,
        &model.voltage_slope_per_ghz, &model.lowest_clock_mhz, &model.stream_saturation_mhz}) {
    figure->grade = weakest(figure->grade, Grade::scaled);
    figure->source = why + figure->source;
  }
  std::vector<double> ratios = speed_ratios(model, rows, Work::tensor);
  for (const ClockPoint& p : tensor_clocks(rows).first)
    ratios.push_back(p.clock / clock_mhz(model, p.watts, Work::tensor));
  ratios.insert(ratios.end(), {other.tensor_spread.low, other.tensor_spread.high});
  model.tensor_spread = widest(ratios);
  return model;
}

}  // namespace

PowerRules read_power_rules(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, "sextant power rules", 1);
  object.text("provenance");
  PowerRules rules;
  rules.memory_watts = read_figure(object.at("memory_watts"), {0, 1e4});
  for (const auto& [gpu, entry] : object.at("same_curve").object().entries()) {
    const JsonObject rule = entry.object();
    rules.same_curve[gpu] = {rule.text("as"), rule.text("source")};
    rule.finish();
  }
  object.finish();
  return rules;
}

PowerRules shipped_power_rules() {
  const EmbeddedFile file = embedded_files("calibrate/profiles/power-rules.json").at(0);
  return read_power_rules(JsonValue::parse(file.content, std::string(file.path)));
}

void PowerFit::add(const Measurement& measurement) {
  if (const auto* row = std::get_if<PowerRow>(&measurement.row))
    rows_[measurement.gpu].push_back({*row, measurement.source});
}

std::vector<PowerModel> PowerFit::fit(const PowerRules& rules) const {
  if (rows_.empty()) throw InputError("found no row of kind power, expected some");
  std::vector<PowerModel> models;
  for (const auto& [name, rows] : rows_) {
    if (rules.same_curve.count(name) > 0) continue;
    PowerModel model;
    model.gpu = name;
    take_limits(model, find_gpu(name));
    model.memory_watts = rules.memory_watts;
    fit_tensor(model, rows);
    fit_copy(model, rows);
    fit_saturation(model, rows);
    models.push_back(std::move(model));
  }
  complete(models);
  for (PowerModel& model : models) {
    const std::vector<Row>& rows = rows_.at(model.gpu);
    std::vector<double> ratios = detail::left_out_ratios(tensor_clocks(rows).first, model.reference_mhz);
    for (const double ratio : speed_ratios(model, rows, Work::tensor)) ratios.push_back(ratio);
    model.tensor_spread = widest(ratios);
  }
  const std::size_t own = models.size();
  for (const auto& [name, rule] : rules.same_curve) {
    const auto rows = rows_.find(name);
    for (std::size_t i = 0; i < own; ++i)
      if (models[i].gpu == rule.gpu)
        models.push_back(same_curve(models[i], find_gpu(name), rule,
                                    rows == rows_.end() ? std::vector<Row>() : rows->second));
  }
  return models;
}

std::vector<PowerPoint> PowerFit::points(const std::vector<PowerModel>& models,
                                         const PowerRules& rules) const {
  std::vector<PowerPoint> points;
  for (const PowerModel& model : models) {
    const auto found = rows_.find(model.gpu);
    if (found == rows_.end()) continue;
    const auto clocks = tensor_clocks(found->second).first;
    const bool fitted = rules.same_curve.count(model.gpu) == 0;
    for (const ClockPoint& p : clocks) {
      const double left_out = fitted ? detail::left_out_clock(clocks, p, model.reference_mhz) : 0;
      points.push_back(
          {model.gpu, "tensor, MHz", p.limit, p.clock, clock_mhz(model, p.watts, Work::tensor), left_out});
    }
    for (const Row& r : found->second) {
      const Work work = r.row.work == "stream" ? Work::stream : Work::tensor;
      if (r.row.work != "stream" && r.row.work != "tensor") continue;
      points.push_back({model.gpu, r.row.work + ", speed", r.row.watts_limit, r.row.relative_speed,
                        relative_speed(model, r.row.watts_limit, work,
                                       r.row.relative_to_watts.value_or(model.default_watts.value)),
                        0});
    }
  }
  return points;
}

std::string power_report_text(const std::vector<PowerPoint>& points) {
  std::string text = fmt::format("{:<26} {:<14} {:>7} {:>10} {:>10} {:>8} {:>14}\n", "gpu", "work", "limit W",
                                 "measured", "predicted", "error %", "left out, %");
  for (const PowerPoint& p : points) {
    const auto percent = [&](double predicted) { return 100 * (predicted / p.measured - 1); };
    text += fmt::format("{:<26} {:<14} {:>7} {:>10.4g} {:>10.4g} {:>+8.1f} {:>14}\n", p.gpu, p.what,
                        p.watts_limit, p.measured, p.predicted, percent(p.predicted),
                        p.left_out > 0 ? fmt::format("{:+.1f}", percent(p.left_out)) : "");
  }
  return text;
}

}  // namespace sextant
