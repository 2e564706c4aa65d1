#include "calibrate/import/vllm_bench_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>

#include "calibrate/import/import_limits.hpp"

namespace sextant::detail {
namespace {

constexpr Range counts{0, 1e15};
constexpr double rounding = 0.011;  // some versions print to the hundredth

void expect_agreement(const JsonObject& file, const std::string& key, double expected,
                      const std::string& of) {
  const auto value = file.find(key);
  if (!value) return;
  const double found = value->number({0});
  if (std::abs(found - expected) > rounding + shipped_import_limits().rates_agree * std::max(found, expected))
    value->fail(fmt::format("found {:.6g}, expected {:.6g}: {}", found, expected, of));
}

/// A key of the file as a number; nullopt if it is not there.
std::optional<double> count(const JsonObject& file, const char* key) {
  const auto value = file.find(key);
  return value ? std::optional(value->number(counts)) : std::nullopt;
}

/// Linear between order statistics, as numpy's.
double percentile(const std::vector<double>& sorted, double percent) {
  const double place = percent / 100 * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

/// "mean", "median" or "p99" of the samples; nullopt for another statistic.
std::optional<double> statistic(const std::string& name, const std::vector<double>& sorted) {
  if (name == "mean")
    return std::accumulate(sorted.begin(), sorted.end(), 0.0) / static_cast<double>(sorted.size());
  if (name == "median") return percentile(sorted, 50);
  double percent = 0;
  const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), percent);
  const bool whole = error == std::errc() && end == name.data() + name.size();
  if (name.front() != 'p' || !whole || !(percent >= 0 && percent <= 100)) return std::nullopt;
  return percentile(sorted, percent);
}

}  // namespace

void expect_rates_agree(const JsonObject& file) {
  const JsonValue duration = file.at("duration");
  const double seconds = duration.number();
  if (!(seconds > 0)) duration.fail(fmt::format("found {}, expected a number above 0", seconds));
  const auto completed = count(file, "completed"), input = count(file, "total_input_tokens"),
             output = count(file, "total_output_tokens");
  const auto expect = [&](const char* key, double tokens, const char* what) {
    expect_agreement(file, key, tokens / seconds,
                     fmt::format("{} of {:.6g} over the duration of {:.6g} s", what, tokens, seconds));
  };
  if (completed) expect("request_throughput", *completed, "completed");
  if (output) expect("output_throughput", *output, "total_output_tokens");
  if (input && output) expect("total_token_throughput", *input + *output, "input and output tokens");
}

void expect_requests_agree(const JsonObject& file, const BenchSamples& samples) {
  // Without a reason in "errors", which requests failed is not known.
  if (const auto completed = count(file, "completed"); completed && *completed != samples.requests) return;
  expect_agreement(file, "total_input_tokens", samples.input_tokens, "the sum of input_lens");
  expect_agreement(file, "total_output_tokens", samples.output_tokens, "the sum of output_lens");
  auto latencies = samples.latencies;
  for (auto& [name, values] : latencies) std::sort(values.begin(), values.end());
  for (const auto& [key, value] : file.entries())
    for (const auto& [name, sorted] : latencies) {
      const std::string ending = fmt::format("_{}_ms", name);
      if (sorted.empty() || value.is_null() || !key.ends_with(ending) || key.size() == ending.size())
        continue;
      const auto expected = statistic(key.substr(0, key.size() - ending.size()), sorted);
      if (expected) expect_agreement(file, key, *expected, "that of the requests in this file");
    }
}

}  // namespace sextant::detail
