#include "sim/serving/workload.hpp"

#include <fmt/core.h>

#include <filesystem>
#include <limits>

#include "sim/kernel/portable_math.hpp"

namespace sextant {
namespace {

constexpr Range tokens{1, 1e8};
constexpr Range prompts{1, 1e9};
constexpr Range rates{0, 1e9};
constexpr Range seeds{0, 9007199254740991};  // what JSON holds exactly

double positive(const JsonValue& value, Range range) {
  const double number = value.number(range);
  if (number <= 0) value.fail(fmt::format("found {}, expected a number above 0", number));
  return number;
}

LengthDistribution read_uniform(const JsonObject& object) {
  LengthDistribution length;
  length.kind = LengthDistribution::Kind::uniform;
  length.low = object.integer("min", tokens);
  length.high = object.integer("max", tokens);
  length.mean = static_cast<double>(length.low + length.high) / 2;
  object.finish();
  return length;
}

LengthDistribution read_lognormal(const JsonObject& object) {
  LengthDistribution length;
  length.kind = LengthDistribution::Kind::lognormal;
  const auto mean = object.find("mean"), median = object.find("median");
  length.sigma = object.number("sigma", {0, 10});
  length.low = object.integer_or("min", length.low, tokens);
  length.high = object.integer_or("max", length.high, tokens);
  object.finish();
  if (mean.has_value() == median.has_value())
    object.fail(
        fmt::format("found {} 'mean' and 'median', expected exactly one of them", mean ? "both" : "neither"));
  const JsonValue& middle = mean ? *mean : *median;
  const double number = middle.number(tokens);
  if (number < static_cast<double>(length.low) || number > static_cast<double>(length.high))
    middle.fail(
        fmt::format("found {}, expected it between min {} and max {}", number, length.low, length.high));
  length.mean = mean ? number : number * portable_exp(length.sigma * length.sigma / 2);
  return length;
}

LengthDistribution read_length(const JsonValue& value) {
  const JsonObject object = value.object();
  const auto fixed = object.find("fixed"), lognormal = object.find("lognormal"),
             uniform = object.find("uniform");
  object.finish();
  const int kinds = fixed.has_value() + lognormal.has_value() + uniform.has_value();
  if (kinds != 1)
    object.fail(
        fmt::format("found {} distributions, expected exactly one of fixed, lognormal, uniform", kinds));
  if (fixed) {
    LengthDistribution length;
    length.low = length.high = fixed->integer(tokens);
    length.mean = static_cast<double>(length.low);
    return length;
  }
  const LengthDistribution length =
      lognormal ? read_lognormal(lognormal->object()) : read_uniform(uniform->object());
  if (length.low > length.high)
    (lognormal ? *lognormal : *uniform)
        .fail(fmt::format("found min {} above max {}", length.low, length.high));
  return length;
}

void read_trace_keys(const JsonObject& object, const JsonValue& trace, Workload& workload) {
  static const std::vector<std::string> formats = {"azure", "mooncake"};
  const JsonObject keys = trace.object();
  const std::filesystem::path path(keys.text("path"));
  if (path.empty()) keys.at("path").fail("found \"\", expected the path of a trace");
  const std::filesystem::path folder = std::filesystem::path(trace.file()).parent_path();
  workload.trace = path.is_absolute() ? path.string() : (folder / path).string();
  workload.trace_format = formats[keys.choice("format", formats)];
  keys.finish();
  for (const char* key : {"prompt", "output"})
    if (object.has(key))
      object.fail(fmt::format("found both 'trace' and '{}', expected one: the trace has the lengths", key));
}

double read_rate(const JsonValue& rate) {
  if (!rate.is_text()) return positive(rate, rates);
  if (rate.text() != "inf") rate.fail(fmt::format("found \"{}\", expected a number or \"inf\"", rate.text()));
  return std::numeric_limits<double>::infinity();
}

void read_arrivals(const JsonObject& object, Workload& workload) {
  const auto rate = object.find("request_rate"), concurrency = object.find("max_concurrency");
  const auto burstiness = object.find("burstiness"), scale = object.find("time_scale");
  if (rate && concurrency)
    object.fail("found both 'request_rate' and 'max_concurrency', expected one of them");
  if (burstiness && !rate)
    burstiness->fail("found no 'request_rate' beside it, expected one: it shapes its gaps");
  if (scale && (rate || concurrency || workload.trace.empty()))
    scale->fail("expected it only where a trace's own times are replayed");
  if (rate) {
    workload.request_rate = read_rate(*rate);
    if (burstiness) workload.burstiness = positive(*burstiness, {0, 1e6});
    workload.arrival = workload.burstiness == 1 ? Workload::Arrival::poisson : Workload::Arrival::gamma;
  } else if (concurrency) {
    workload.arrival = Workload::Arrival::concurrency;
    workload.max_concurrency = concurrency->integer({1, 1e7});
  } else if (!workload.trace.empty()) {
    workload.arrival = Workload::Arrival::trace;
    if (scale) workload.time_scale = positive(*scale, {0, 1e6});
  }
}

}  // namespace

Workload read_workload(const JsonValue& value) {
  const JsonObject object = value.object();
  Workload workload;
  const auto trace = object.find("trace");
  if (trace) read_trace_keys(object, *trace, workload);
  read_arrivals(object, workload);
  workload.seed = static_cast<std::uint64_t>(object.integer_or("seed", 0, seeds));
  if (trace) {
    workload.num_prompts = object.integer_or("num_prompts", 0, prompts);
  } else {
    workload.num_prompts = object.integer("num_prompts", prompts);
    workload.prompt = read_length(object.at("prompt"));
    workload.output = read_length(object.at("output"));
  }
  object.finish();
  if (!trace && !object.has("request_rate") && !object.has("max_concurrency"))
    object.fail("found no arrivals, expected one of 'request_rate', 'max_concurrency', 'trace'");
  return workload;
}

}  // namespace sextant
