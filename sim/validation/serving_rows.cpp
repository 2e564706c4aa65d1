#include "sim/validation/serving_rows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr auto kv_blocks_metric = "total_kv_blocks";
constexpr auto duration_metric = "duration";

/// What a run gives, by name.
std::map<std::string, double> run_metrics(const ServingMetrics& metrics) {
  std::map<std::string, double> values;
  for (const auto& [name, value] : named_metrics(metrics)) values[name] = value;
  values[kv_blocks_metric] = static_cast<double>(metrics.kv_blocks);
  values[duration_metric] = metrics.duration_s;
  return values;
}

/// p95_ttft_ms and its like: a metric, though not one that a run keeps.
bool is_percentile(const std::string& metric) {
  if (!metric.starts_with("p")) return false;
  const std::size_t digits = metric.find_first_not_of("0123456789.", 1);
  if (digits == 1 || digits == std::string::npos) return false;
  const std::string rest = metric.substr(digits);
  return rest == "_ttft_ms" || rest == "_tpot_ms" || rest == "_itl_ms" || rest == "_e2el_ms";
}

void expect_metrics(const std::vector<std::string>& metrics, const std::string& where) {
  std::vector<std::string> known;
  for (const auto& [name, unused] : run_metrics({})) known.push_back(name);
  for (const std::string& metric : metrics)
    if (std::find(known.begin(), known.end(), metric) == known.end() && !is_percentile(metric))
      throw InputError(
          fmt::format("{}: found the unknown metric '{}'{}", where, metric, did_you_mean(metric, known)));
}

/// Why the scenario's model cannot be known yet; empty where it is in the catalogue or a file.
std::string unknown_model(const JsonValue& document) {
  const auto model = document.object().find("model");
  if (!model || !model->is_object()) return "";
  const auto name = model->object().find("name");
  if (!name || !name->is_text() || name->text().find('/') != std::string::npos ||
      name->text().ends_with(".json"))
    return "";
  try {
    find_model(name->text());
    return "";
  } catch (const InputError& error) {
    return error.what();
  }
}

/// The catalogue names in a scenario's short form of a cluster, where the cluster itself cannot be read yet.
std::string cluster_gpus(const JsonValue& document) {
  const Cluster cluster = read_cluster(document.object().at("cluster"));
  return cluster.kinds(cluster.gpus());
}

void predict_metrics(const SearchContext& context, const EstimatedLayout& layout,
                     const ServingRunOptions& options, std::map<std::string, Outcome>& metrics) {
  PlanOptions plan;
  plan.threads = options.threads;
  plan.stop = options.stop;
  const Candidate run = simulate_candidate(context, layout, plan);
  std::map<std::string, Interval> intervals;
  if (options.intervals) intervals = metric_intervals(context, run, plan).intervals;
  const std::map<std::string, double> values = run_metrics(run.metrics);
  for (auto& [name, outcome] : metrics) {
    const auto value = values.find(name);
    if (value == values.end()) continue;
    Prediction prediction{value->second, std::nullopt, run.grade, run.extrapolated};
    if (const auto interval = intervals.find(name); interval != intervals.end())
      prediction.interval = PredictedInterval{interval->second.low, interval->second.high};
    // Blocks follow from the memory's figures, of which the engine's are assumed, and from no operator.
    if (name == kv_blocks_metric) {
      prediction.grade = Grade::assumed;
      prediction.extrapolated = false;
    }
    outcome = prediction;
  }
}

}  // namespace

std::string beside(const std::string& file, const std::string& path) {
  const std::filesystem::path given(path);
  return given.is_absolute() ? path : (std::filesystem::path(file).parent_path() / given).string();
}

PredictedRun predict_run(const std::string& given, const std::string& where,
                         const std::vector<std::string>& metrics, ProfileStore& profiles,
                         const ServingRunOptions& options) {
  expect_metrics(metrics, where);
  const bool is_inline = given.starts_with('{');
  const JsonValue document =
      is_inline ? JsonValue::parse(given, where) : JsonValue::read(beside(where, given));
  PredictedRun result;
  result.scenario = document.object().text("name");
  const auto none = [&](const std::string& why) {
    for (const std::string& metric : metrics) result.metrics[metric] = NotPredicted{why};
    return result;
  };
  if (const std::string why = unknown_model(document); !why.empty()) {
    result.gpu = cluster_gpus(document);
    return none(why);
  }
  Scenario scenario = read_scenario(document);
  result.gpu = scenario.cluster.kinds(scenario.cluster.gpus());
  if (!scenario.deployment)
    throw InputError(fmt::format(
        "{}: deployment: found \"search\", expected a fixed layout: what was measured", document.file()));
  if (scenario.prefill) return none("prefill and decode apart are not compared with recorded runs yet");
  load_trace(scenario.workload);
  none("a run keeps the mean, the median, p90 and p99 of each latency");
  try {
    const Machine machine(scenario.cluster, scenario.engine.profile, profiles.finder());
    const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
    const EstimatedLayout layout = estimate(context, fixed_layout(scenario, *scenario.deployment));
    if (layout.kv_blocks <= 0) {
      const Rejection rejection = memory_rejection(layout.layout, tightest_replica(context, layout.layout));
      return none("it does not fit in memory: " + rejection.reason);
    }
    predict_metrics(context, layout, options, result.metrics);
  } catch (const InputError& error) {
    return none(error.what());
  }
  return result;
}

}  // namespace sextant
