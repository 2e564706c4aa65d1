#include "sim/serving/workload.hpp"

#include <cmath>
#include <filesystem>
#include <limits>


namespace sextant {
namespace {

constexpr Range tokens{1, 1e8};

LengthDistribution read_length(const JsonValue& value) {
  const JsonObject object = value.object();
  LengthDistribution length;
  const auto fixed = object.find("fixed"), lognormal = object.find("lognormal"), uniform = object.find("uniform");
  if (fixed.has_value() + lognormal.has_value() + uniform.has_value() != 1)
    object.fail("expected exactly one of fixed, lognormal, uniform");
  if (fixed) {
    length.mean = static_cast<double>(fixed->integer(tokens));
  } else if (uniform) {
    const JsonObject bounds = uniform->object();
    length.kind = LengthDistribution::Kind::uniform;
    length.low = bounds.integer("min", tokens);
    length.high = bounds.integer("max", tokens);
    bounds.finish();
  } else {
    const JsonObject parameters = lognormal->object();
    length.kind = LengthDistribution::Kind::lognormal;
    length.sigma = parameters.number("sigma", {0, 10});
    const auto mean = parameters.find("mean"), median = parameters.find("median");
    if (mean.has_value() == median.has_value()) parameters.fail("expected exactly one of mean, median");
    length.mean = mean ? mean->number(tokens) : median->number(tokens) * std::exp(length.sigma * length.sigma / 2);
    length.low = parameters.integer_or("min", length.low, tokens);
    length.high = parameters.integer_or("max", length.high, tokens);
    parameters.finish();
  }
  if (length.low > length.high) object.fail("found min above max");
  object.finish();
  return length;
}

void read_trace_keys(const JsonObject& object, const JsonValue& trace, Workload& workload) {
  const JsonObject keys = trace.object();
  const std::filesystem::path path(keys.text("path"));
  const std::filesystem::path folder = std::filesystem::path(trace.file()).parent_path();
  workload.trace = path.is_absolute() ? path.string() : (folder / path).string();
  const std::vector<std::string> formats = {"azure", "mooncake"};
  workload.trace_format = formats[keys.choice("format", formats)];
  keys.finish();
  for (const char* key : {"prompt", "output"})
    if (object.has(key)) object.fail(std::string("found both trace and ") + key + ", expected one: the trace has the lengths");
}

void read_arrivals(const JsonObject& object, Workload& workload) {
  const auto rate = object.find("request_rate"), concurrency = object.find("max_concurrency");
  if (rate && concurrency) object.fail("found both request_rate and max_concurrency, expected one of them");
  if (object.has("burstiness") && !rate) object.fail("found burstiness without request_rate, which it belongs to");
  if (rate) {
    const bool at_once = rate->is_text() && rate->text() == "inf";
    workload.request_rate = at_once ? std::numeric_limits<double>::infinity() : rate->number({1e-9, 1e9});
    workload.burstiness = object.number_or("burstiness", 1, {1e-3, 1e6});
    workload.arrival = workload.burstiness == 1 ? Workload::Arrival::poisson : Workload::Arrival::gamma;
  } else if (concurrency) {
    workload.arrival = Workload::Arrival::concurrency;
    workload.max_concurrency = concurrency->integer({1, 1e7});
  } else if (!workload.trace.empty()) {
    workload.arrival = Workload::Arrival::trace;
  } else {
    object.fail("expected request_rate, max_concurrency or trace");
  }
}

}  // namespace

Workload read_workload(const JsonValue& value) {
  const JsonObject object = value.object();
  Workload workload;
  const auto trace = object.find("trace");
  if (trace) read_trace_keys(object, *trace, workload);
  read_arrivals(object, workload);
  constexpr Range requests{1, 1e9};
  if (trace) {
    workload.num_prompts = object.integer_or("num_prompts", 0, requests);
    workload.time_scale = object.number_or("time_scale", 1, {1e-6, 1e6});
  } else {
    workload.num_prompts = object.integer("num_prompts", requests);
    workload.prompt = read_length(object.at("prompt"));
    workload.output = read_length(object.at("output"));
  }
  workload.seed = static_cast<std::uint64_t>(object.integer_or("seed", 0, {0, 9e15}));
  object.finish();
  return workload;
}

}  // namespace sextant
