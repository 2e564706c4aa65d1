#include "calibrate/fit/fit_report.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace sextant {
namespace {

struct Region {
  const char* name;
  double below_us;
};
constexpr std::array regions = {Region{"under 30 us", 30}, Region{"30 to 300 us", 300},
                                Region{"over 300 us", std::numeric_limits<double>::infinity()}};

}  // namespace

double quantile(std::vector<double> values, double p) {
  const double position = p * static_cast<double>(values.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(below), values.end());
  const double low = values[below];
  if (below + 1 >= values.size()) return low;
  const double high =
      *std::min_element(values.begin() + static_cast<std::ptrdiff_t>(below) + 1, values.end());
  return low + (position - static_cast<double>(below)) * (high - low);
}

ErrorSummary summarise_errors(const std::vector<double>& predicted, const std::vector<double>& measured) {
  if (predicted.empty()) return {};
  std::vector<double> sizes, errors, ratios;
  for (std::size_t i = 0; i < predicted.size(); ++i) {
    errors.push_back(predicted[i] / measured[i] - 1);
    sizes.push_back(std::abs(errors.back()));
    ratios.push_back(measured[i] / predicted[i]);
  }
  ErrorSummary summary;
  summary.median = quantile(sizes, 0.5);
  summary.p90 = quantile(sizes, 0.9);
  summary.worst = *std::max_element(sizes.begin(), sizes.end());
  summary.bias = quantile(errors, 0.5);
  summary.low = std::min(1.0, quantile(ratios, 0.05));
  summary.high = std::max(1.0, quantile(ratios, 0.95));
  return summary;
}

std::vector<RegionError> errors_by_duration(const std::vector<double>& predicted_us,
                                            const std::vector<double>& measured_us) {
  std::vector<RegionError> result;
  double from = 0;
  for (const Region& region : regions) {
    std::vector<double> predicted, measured;
    for (std::size_t i = 0; i < measured_us.size(); ++i) {
      if (measured_us[i] < from || measured_us[i] >= region.below_us) continue;
      predicted.push_back(predicted_us[i]);
      measured.push_back(measured_us[i]);
    }
    from = region.below_us;
    if (measured.empty()) continue;
    const ErrorSummary errors = summarise_errors(predicted, measured);
    result.push_back({region.name, static_cast<std::int64_t>(measured.size()), errors.median, errors.p90});
  }
  return result;
}

std::string report_text(const FitReport& report) {
  std::string text =
      fmt::format("{:<29}{:>7}{:>9}{:>9}{:>9}{:>9}{:>8}{:>8}{:>10}{:>7}{:>8}{:>7}{:>15}{:>7}\n", "family",
                  "rows", "floored", "outliers", "falling", "TFLOP/s", "GB/s", "us", "median %", "p90 %",
                  "worst %", "bias %", "held out: med", "p90 %");
  for (const FitReportLine& line : report.lines)
    text += fmt::format(
        "{:<29}{:>7}{:>9}{:>9}{:>9}{:>9.1f}{:>8.0f}{:>8.2f}{:>10.2f}{:>7.2f}{:>8.1f}{:>7.2f}{:>15.2f}{:>7.2f}"
        "\n",
        line.family, line.rows, line.floored, line.outliers, line.falling, line.tflops, line.memory_gbps,
        line.latency_us, 100 * line.fitted.median, 100 * line.fitted.p90, 100 * line.fitted.worst,
        100 * line.fitted.bias, 100 * line.held_out.median, 100 * line.held_out.p90);
  text += fmt::format("\n{:<29}", "held out, median / p90 %");
  for (const Region& region : regions) text += fmt::format("{:>20}", region.name);
  for (const FitReportLine& line : report.lines) {
    text += fmt::format("\n{:<29}", line.family);
    for (const Region& region : regions) {
      const auto found = std::find_if(line.held_out_regions.begin(), line.held_out_regions.end(),
                                      [&](const RegionError& error) { return error.region == region.name; });
      text +=
          found == line.held_out_regions.end()
              ? fmt::format("{:>20}", "-")
              : fmt::format("{:>20}", fmt::format("{:.2f} / {:.2f}", 100 * found->median, 100 * found->p90));
    }
  }
  text += "\n";
  for (const std::string& note : report.notes) text += "note: " + note + "\n";
  return text;
}

}  // namespace sextant
