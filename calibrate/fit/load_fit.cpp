#include "calibrate/fit/load_fit.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "calibrate/fit/fit_report.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr double full = 0.995;                     // of the highest clock: not held back
constexpr double held_back = 0.9;                  // relative speed below which the limit, not noise, is seen
constexpr std::int64_t tensor_bound_tokens = 512;  // a GEMM of so many rows is arithmetic alone

/// Watts at the full clock: what lasting work draws, where the limit leaves it alone; else what bursts draw.
double full_watts(const PowerRow& row, double full_clock) {
  const double lasting = row.watts.value_or(row.watts_limit);
  if (row.clock_mhz.value_or(0) >= full * full_clock) return lasting;
  return std::max(row.relative_to_watts.value_or(lasting), lasting);
}

}  // namespace

void LoadFit::add(const PowerRow& row, const std::string& source) {
  if (row.work == "tensor" || row.work == "stream") return;
  source_ = source;
  if (row.work == "idle")
    idle_watts_ = row.watts.value_or(0);
  else
    rows_[{row.work, row.tokens}] = row;
}

std::optional<LoadModel> LoadFit::fit(double full_clock, double window_seconds) const {
  if (rows_.empty()) return std::nullopt;
  if (!(full_clock > 0))
    throw InputError(
        "found power rows of operators and no highest_clock_mhz of the gpu in the catalogue, expected one");
  if (!idle_watts_) throw InputError("found power rows of operators and none of work idle, expected one");
  LoadModel load;
  load.idle_watts = *idle_watts_;
  load.window_seconds = window_seconds;
  load.limit_watts = rows_.begin()->second.watts_limit;
  load.grade = Grade::fitted;
  load.source = source_;
  std::vector<double> exponents;
  for (const auto& [key, row] : rows_) {
    if (row.watts_limit != load.limit_watts)
      throw InputError(fmt::format("found power rows at {} and {} W, expected one limit", load.limit_watts,
                                   row.watts_limit));
    const double watts = full_watts(row, full_clock);
    if (key.first.starts_with("gemm/") && key.second >= tensor_bound_tokens &&
        row.relative_speed < held_back && watts > load.limit_watts)
      exponents.push_back(std::log((load.limit_watts - load.idle_watts) / (watts - load.idle_watts)) /
                          std::log(row.relative_speed));
  }
  if (exponents.empty()) return std::nullopt;
  load.clock_exponent = quantile(exponents, 0.5);
  for (const auto& [key, row] : rows_) {
    WorkLoad& work = load.works[key.first];
    const double watts = full_watts(row, full_clock), clock = relative_clock(load, watts);
    const double slower = 1 / row.relative_speed - 1;
    work.tokens.push_back(static_cast<double>(std::max<std::int64_t>(key.second, 1)));
    work.watts.push_back(watts);
    work.clock_share.push_back(clock < 1 ? std::clamp(slower / (1 / clock - 1), 0.0, 1.0) : 0);
  }
  return load;
}

}  // namespace sextant
