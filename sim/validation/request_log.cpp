#include "sim/validation/request_log.hpp"

#include <fmt/core.h>

#include <cmath>

#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"
#include "sim/scenario/scenario.hpp"
#include "sim/serving/recorder.hpp"

namespace sextant {
namespace {

/// What a log can tell; the rest of a run's metrics are the simulator's own.
bool told_by_log(const std::string& metric) {
  return metric.ends_with("_ms") ? metric.find("_itl_") == std::string::npos
                                 : metric.ends_with("_throughput");
}

constexpr Range seconds{-1e12, 1e12};
constexpr Range tokens{1, 1e8};

RequestTimes read_request(const JsonValue& line) {
  const JsonObject object = line.object();
  const double queued = object.number("queued_ts", seconds), first = object.number("first_token_ts", seconds),
               last = object.number("last_token_ts", seconds);
  if (first < queued)
    object.at("first_token_ts").fail(fmt::format("found {}, expected it after queued_ts, {}", first, queued));
  if (last < first)
    object.at("last_token_ts")
        .fail(fmt::format("found {}, expected it after first_token_ts, {}", last, first));
  RequestTimes times;
  times.prompt_tokens = object.integer("input_toks", tokens);
  times.output_tokens = object.integer("output_toks", tokens);
  // Differences first: a clock that counts from 1970 in seconds leaves a double no nanoseconds to spare.
  times.first_token = Time::seconds(first - queued);
  times.last_token = Time::seconds(last - queued);
  return times;
}

}  // namespace

std::vector<std::pair<std::string, double>> request_log_metrics(const std::string& path) {
  Recorder recorder;
  double begin = 0;
  bool any = false;
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    if (text.find_first_not_of(" \t\r") == std::string_view::npos) return;
    const JsonValue line = JsonValue::parse(text, fmt::format("{}:{}", path, number));
    RequestTimes times = read_request(line);
    const double queued = line.object().number("queued_ts");
    if (!any) begin = queued;
    any = true;
    const Time arrival = Time::seconds(queued - begin);
    times.arrival = arrival;
    times.first_token = arrival + times.first_token;
    times.last_token = arrival + times.last_token;
    recorder.arrived(arrival);
    recorder.finished(times);
  });
  if (!any) throw InputError(path + ": found no requests, expected at least one");
  std::vector<std::pair<std::string, double>> metrics;
  for (const auto& [name, value] : named_metrics(recorder.result(0)))
    if (told_by_log(name)) metrics.emplace_back(name, value);
  return metrics;
}

}  // namespace sextant
