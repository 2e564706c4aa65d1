#include "sim/serving/workload.hpp"

#include <fmt/core.h>

#include <cmath>
#include <filesystem>
#include <limits>

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr Range prompts{1, 1e9};
constexpr Range rates{0, 1e9};
constexpr Range seeds{0, 9007199254740991};  // what JSON holds exactly

double positive(const JsonValue& value, Range range) {
  const double number = value.number(range);
  if (number <= 0) value.fail(fmt::format("found {}, expected a number above 0", number));
  return number;
}

std::string beside_scenario(const JsonValue& value, const char* what) {
  const std::filesystem::path path(value.text());
  if (path.empty()) value.fail(fmt::format("found \"\", expected the path of {}", what));
  return path.is_absolute() ? path.string()
                            : (std::filesystem::path(value.file()).parent_path() / path).string();
}

void read_trace_keys(const JsonObject& object, const JsonValue& trace, Workload& workload) {
  static const std::vector<std::string> formats = {"azure", "burstgpt", "mooncake", "sharegpt"};
  const JsonObject keys = trace.object();
  workload.trace = beside_scenario(keys.at("path"), "a trace");
  workload.trace_format = formats[keys.choice("format", formats)];
  const auto characters = keys.find("characters_per_token");
  if (characters.has_value() != (workload.trace_format == "sharegpt"))
    trace.fail(
        fmt::format("found {} 'characters_per_token' with the format {}, expected it with sharegpt, whose "
                    "texts have no token counts, and only there",
                    characters ? "a" : "no", workload.trace_format));
  if (characters) workload.characters_per_token = positive(*characters, {0, 1000});
  keys.finish();
  for (const char* key : {"prompt", "output", "lengths", "conversations"})
    if (object.has(key))
      object.fail(fmt::format("found both 'trace' and '{}', expected one: the trace has the lengths", key));
}

/// A number above 0, or "inf".
double read_number_or_inf(const JsonValue& value, Range range) {
  if (!value.is_text()) return positive(value, range);
  if (value.text() != "inf")
    value.fail(fmt::format("found \"{}\", expected a number or \"inf\"", value.text()));
  return infinity;
}

bool asks_for_highest(const JsonValue& value) {
  return value.is_text() && value.text() == "highest";
}

std::vector<RateStage> read_rate_stages(const JsonValue& value) {
  std::vector<RateStage> stages;
  const std::vector<JsonValue> entries = value.array();
  if (entries.empty()) value.fail("found no stage, expected at least one");
  for (const JsonValue& entry : entries) {
    const JsonObject object = entry.object();
    RateStage stage;
    stage.request_rate = object.number("request_rate", rates);
    stage.end_rate = object.number_or("end_rate", stage.request_rate, rates);
    const auto duration = object.find("duration_s");
    stage.duration_s = duration ? positive(*duration, {0, 1e9}) : infinity;
    object.finish();
    if (!duration &&
        (stages.size() + 1 < entries.size() || object.has("end_rate") || stage.request_rate <= 0))
      entry.fail("found no 'duration_s', expected one in all but a last stage of a constant rate above 0");
    stages.push_back(stage);
  }
  return stages;
}

RampUp read_ramp_up(const JsonObject& object) {
  const bool exponential = object.choice("ramp_up_strategy", {"linear", "exponential"}) == 1;
  return {exponential, positive(object.at("ramp_up_start_rps"), rates),
          positive(object.at("ramp_up_end_rps"), rates)};
}

/// Averaged over the stages; over time where all end.
double mean_rate(const std::vector<RateStage>& stages) {
  double requests = 0, seconds = 0;
  for (const RateStage& stage : stages) {
    if (stage.duration_s == infinity) return stage.request_rate;
    requests += (stage.request_rate + stage.end_rate) / 2 * stage.duration_s;
    seconds += stage.duration_s;
  }
  return requests / seconds;
}

/// The one key of `keys` that the object has; empty if none. Throws InputError for several.
std::string one_of(const JsonObject& object, const std::vector<std::string>& keys) {
  std::string found;
  for (const std::string& key : keys) {
    if (!object.has(key)) continue;
    if (!found.empty())
      object.fail(fmt::format("found both '{}' and '{}', expected one of them", found, key));
    found = key;
  }
  return found;
}

void read_arrivals(const JsonObject& object, Workload& workload) {
  const std::string kind = one_of(object, {"request_rate", "rate_stages", "ramp_up_strategy"});
  const bool open_loop = !kind.empty();
  if (const auto most = object.find("max_concurrency")) {
    workload.find_highest = asks_for_highest(*most);
    if (workload.find_highest && open_loop)
      most->fail("found \"highest\" beside a rate, expected one of them");
    workload.max_concurrency = workload.find_highest ? 1 : most->integer({1, 1e7});
  }
  if (const auto burstiness = object.find("burstiness")) {
    if (!open_loop) burstiness->fail("found no 'request_rate' beside it, expected one: it shapes its gaps");
    workload.burstiness = read_number_or_inf(*burstiness, {0, 1e6});
  }
  if (const auto scale = object.find("time_scale")) {
    if (open_loop || workload.max_concurrency > 0 || workload.trace.empty())
      scale->fail("expected it only where a trace's own times are replayed");
    workload.time_scale = positive(*scale, {0, 1e6});
  }
  if (kind == "request_rate") {
    workload.find_highest = asks_for_highest(object.at(kind));
    workload.request_rate = workload.find_highest ? 1 : read_number_or_inf(object.at(kind), rates);
  }
  if (kind == "rate_stages") {
    workload.rate_stages = read_rate_stages(object.at(kind));
    workload.request_rate = mean_rate(workload.rate_stages);
    if (workload.request_rate <= 0) object.at(kind).fail("found no stage of a rate above 0, expected one");
  }
  if (kind == "ramp_up_strategy") {
    workload.ramp_up = read_ramp_up(object);
    workload.request_rate = (workload.ramp_up->start_rps + workload.ramp_up->end_rps) / 2;
  }
  // All at once, but only so many at a time, is a closed loop.
  const bool all_at_once = kind == "request_rate" && workload.request_rate == infinity;
  if (workload.max_concurrency > 0 && (!open_loop || all_at_once))
    workload.arrival = Workload::Arrival::concurrency;
  else if (!open_loop)
    workload.arrival = Workload::Arrival::trace;
  else
    workload.arrival = workload.burstiness == 1 ? Workload::Arrival::poisson : Workload::Arrival::gamma;
}

Conversations read_conversations(const JsonValue& value) {
  const JsonObject object = value.object();
  Conversations chats;
  chats.num_turns = read_length(object.at("num_turns"));
  if (chats.num_turns.kind == LengthDistribution::Kind::lognormal)
    object.at("num_turns").fail("found lognormal, expected fixed or uniform");
  if (const auto think = object.find("think_time_s")) {
    const JsonObject time = think->object();
    const std::string kind = one_of(time, {"fixed", "exponential"});
    if (kind.empty()) think->fail("found neither 'fixed' nor 'exponential', expected one of them");
    chats.think_time_s = time.number(kind, {0, 1e7});
    chats.exponential_think_time = kind == "exponential";
    time.finish();
  }
  chats.common_prefix_num_tokens = object.integer_or("common_prefix_num_tokens", 0, {0, 1e8});
  chats.common_prefixes = object.integer_or("common_prefixes", 1, {1, 1e9});
  object.finish();
  return chats;
}

void read_lengths(const JsonObject& object, Workload& workload) {
  const auto lengths = object.find("lengths");
  if (!lengths) {
    workload.prompt = read_length(object.at("prompt"));
    workload.output = read_length(object.at("output"));
    return;
  }
  for (const char* key : {"prompt", "output"})
    if (object.has(key)) object.fail(fmt::format("found both 'lengths' and '{}', expected one", key));
  workload.lengths = std::make_shared<const JointLengths>(
      read_joint_lengths(beside_scenario(*lengths, "a file of lengths")));
  workload.prompt.kind = workload.output.kind = LengthDistribution::Kind::empirical;
  workload.prompt.mean = workload.lengths->prompt.mean();
  workload.output.mean = workload.lengths->mean_output();
}

std::vector<PriorityShare> read_priorities(const JsonValue& value) {
  std::vector<PriorityShare> shares;
  double sum = 0;
  for (const JsonValue& item : value.array()) {
    const JsonObject object = item.object();
    shares.push_back({object.integer("priority", {-1e9, 1e9}), object.number("share", {0, 1})});
    object.finish();
    sum += shares.back().share;
  }
  constexpr double rounding = 1e-6;
  if (std::abs(sum - 1) > rounding) value.fail(fmt::format("found shares of {:g} in all, expected 1", sum));
  return shares;
}

}  // namespace

Workload read_workload(const JsonValue& value) {
  const JsonObject object = value.object();
  Workload workload;
  const auto trace = object.find("trace");
  if (trace) read_trace_keys(object, *trace, workload);
  read_arrivals(object, workload);
  workload.sampling = read_sampling(object);
  if (const auto shares = object.find("priorities")) workload.priorities = read_priorities(*shares);
  workload.seed = static_cast<std::uint64_t>(object.integer_or("seed", 0, seeds));
  const bool stages_end = !workload.rate_stages.empty() && workload.rate_stages.back().duration_s < infinity;
  const bool count_known = trace || stages_end;
  workload.num_prompts =
      count_known ? object.integer_or("num_prompts", 0, prompts) : object.integer("num_prompts", prompts);
  if (workload.trace_format == "sharegpt" && workload.arrival == Workload::Arrival::trace)
    trace->fail("found the format sharegpt, which has no times, expected a request_rate or max_concurrency");
  if (!trace) {
    read_lengths(object, workload);
    if (const auto chats = object.find("conversations")) workload.conversations = read_conversations(*chats);
  }
  object.finish();
  if (!trace && workload.arrival == Workload::Arrival::trace)
    object.fail(
        "found no arrivals, expected one of 'request_rate', 'max_concurrency', 'trace', 'rate_stages', "
        "'ramp_up_strategy'");
  return workload;
}

ArrivalProcess arrival_process(const Workload& workload) {
  return {workload.request_rate, workload.burstiness, workload.rate_stages, workload.ramp_up};
}

}  // namespace sextant
