#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "models/base/error.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// 10^9 B/s of each GPU, fastest first; empty where one is not known.
std::vector<double> memory_rates(const std::map<std::string, int>& gpus) {
  std::vector<double> rates;
  for (const auto& [name, count] : gpus) {
    const auto& rate = find_gpu(name).memory_gbps;
    if (!rate) return {};
    rates.insert(rates.end(), static_cast<std::size_t>(count), rate->value);
  }
  std::sort(rates.rbegin(), rates.rend());
  return rates;
}

/// 10^12 FLOP/s of all GPUs in the fastest format that the weights can be multiplied in.
double arithmetic_rate(const ModelBound& bound, const std::map<std::string, int>& gpus) {
  double sum = 0;
  const bool four_bit = bound.scenario.model.weights.bits < 6;
  const bool sixteen_bit = bound.scenario.model.weights.bits > 8.5;
  for (const auto& [name, count] : gpus) {
    double fastest = 0;
    for (const auto& [type, rate] : find_gpu(name).dense_tflops)
      if ((type != "fp4" || four_bit) && (!sixteen_bit || type == "bf16" || type == "fp16"))
        fastest = std::max(fastest, rate.value);
    if (fastest <= 0) return infinity;
    sum += fastest * count;
  }
  return sum;
}

ModelBound bound_of(const PurchaseQuestion& question, const PurchaseModel& model,
                    const std::string& cluster) {
  ModelBound bound;
  bound.model = &model;
  bound.scenario = purchase_scenario(question, model, cluster);
  load_trace(bound.scenario.workload);
  bound.workload = summarise_workload(bound.scenario.workload);
  const Architecture& architecture = bound.scenario.model.architecture;
  StageShape whole;
  whole.layers = {0, architecture.layer_count()};
  bound.weight_bytes = stage_weights(architecture, bound.scenario.model.weights, whole).total();
  const double table = static_cast<double>(architecture.vocabulary) *
                       static_cast<double>(architecture.hidden) * (architecture.tied_embedding ? 1 : 2);
  const double met = std::max(0.0, static_cast<double>(architecture.active_parameters()) - table);
  bound.streamed_bytes = met * bound.scenario.model.weights.bits / 8;
  bound.token_flops = 2 * met;
  return bound;
}

}  // namespace

std::vector<ModelBound> model_bounds(const PurchaseQuestion& question) {
  LeftOut unused;
  PurchaseQuestion unbounded = question;
  unbounded.bounds = {};
  unbounded.bounds.usd = infinity;
  unbounded.bounds.nodes = {1, 1};
  const std::vector<Purchase> some = possible_purchases(unbounded, unused);
  std::vector<ModelBound> bounds;
  for (const PurchaseModel& model : question.models)
    bounds.push_back(bound_of(question, model, cluster_of(question, some.front())));
  return bounds;
}

std::optional<std::string> memory_obstacle(const PurchaseQuestion& question,
                                           const std::vector<ModelBound>& bounds,
                                           const std::map<std::string, int>& gpus) {
  double device = 0;
  for (const auto& [name, count] : gpus) device += find_gpu(name).memory_bytes.value * count;
  for (const ModelBound& bound : bounds) {
    const double usable = device * bound.scenario.engine.gpu_memory_utilization;
    if (usable < bound.weight_bytes)
      return fmt::format("too little memory for the weights of {}", bound.model->name);
    StageShape whole;
    whole.layers = {0, bound.scenario.model.architecture.layer_count()};
    const double token =
        sequence_cache(bound.scenario.model.architecture, bound.scenario.model.kv, whole).bytes_per_token;
    if (usable - bound.weight_bytes < question.bounds.kv_tokens * token)
      return fmt::format("too little memory for the KV tokens of {}", bound.model->name);
  }
  return std::nullopt;
}

double throughput_bound(const ModelBound& bound, const std::map<std::string, int>& gpus) {
  const std::vector<double> rates = memory_rates(gpus);
  const double memory = std::accumulate(rates.begin(), rates.end(), 0.0) * 1e9;
  const double count = std::accumulate(gpus.begin(), gpus.end(), 0.0,
                                       [](double sum, const auto& entry) { return sum + entry.second; });
  const WorkloadSummary& load = bound.workload;
  const double at_once = load.concurrency > 0
                             ? load.concurrency
                             : count * static_cast<double>(bound.scenario.engine.running_limit(
                                           bound.scenario.model.architecture.layer_count()));
  const double by_memory = rates.empty() ? infinity : at_once * memory / bound.streamed_bytes;
  // A cached prefix costs no arithmetic, so prompts count only where nothing is shared.
  const Workload& workload = bound.scenario.workload;
  const bool shared = workload.conversations.has_value() || !workload.trace.empty();
  const double tokens = 1 + (shared ? 0 : load.prompt / load.output);
  return std::min(by_memory, arithmetic_rate(bound, gpus) * 1e12 / (bound.token_flops * tokens));
}

double token_ms_bound(const ModelBound& bound, const std::map<std::string, int>& gpus) {
  const std::vector<double> rates = memory_rates(gpus);
  if (rates.empty()) return 0;
  int cut = static_cast<int>(rates.size());
  while (cut > 1 && tensor_parallel_obstacle(bound.scenario.model, cut)) --cut;
  const double memory = std::accumulate(rates.begin(), rates.begin() + cut, 0.0) * 1e9;
  return bound.streamed_bytes / memory * 1e3;
}

std::optional<std::string> slo_obstacle(const std::vector<ModelBound>& bounds,
                                        const std::map<std::string, int>& gpus) {
  for (const ModelBound& bound : bounds) {
    for (const ServiceLevel& level : bound.scenario.slo) {
      if (!level.at_most || !level.metric.ends_with("_tpot_ms")) continue;
      if (token_ms_bound(bound, gpus) > level.bound)
        return fmt::format("reading the weights of {} takes longer than {} allows", bound.model->name,
                           level.metric);
    }
  }
  return std::nullopt;
}

}  // namespace sextant
