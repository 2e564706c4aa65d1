#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/shared_experts_search.hpp"

namespace sextant {
namespace {

/// One GPU of each sort.
std::map<int, int> representatives(const CostTables& tables) {
  std::map<int, int> result;
  for (const int gpu : tables.context().scenario.cluster.gpus())
    result.try_emplace(tables.sites().sort(gpu), gpu);
  return result;
}

/// The degrees that cut the model, as far as there are GPUs.
std::vector<int> degrees(const CostTables& tables) {
  const SearchContext& context = tables.context();
  std::vector<int> result;
  const int gpus = static_cast<int>(context.scenario.cluster.gpus().size());
  for (int tp = 1; tp <= gpus; ++tp)
    if (!cut_obstacle(context.scenario.model, tables.cut(tp))) result.push_back(tp);
  return result;
}

bool weights_fit(const SearchContext& context) {
  const Scenario& scenario = context.scenario;
  double room = 0;
  for (const int gpu : scenario.cluster.gpus()) room += scenario.cluster.gpu(gpu).memory_bytes.value;
  const StageShape whole{{0, scenario.model.architecture.layer_count()}, 1, true, true};
  return stage_weights(scenario.model.architecture, scenario.model.weights, whole).layers <=
         room * scenario.engine.gpu_memory_utilization;
}

}  // namespace

int most_replicas(const WorkloadSummary& load) {
  return load.concurrency > 0 ? std::max(1, static_cast<int>(load.concurrency))
                              : std::numeric_limits<int>::max();
}

GpuSpeeds::GpuSpeeds(CostTables& tables, double running) : tables_(tables) {
  const std::int64_t each = CostTables::largest_batch(running, 1);
  // Least seconds of each kind of layer by sort of GPU and degree.
  struct Least {
    int sort, tp;
    PartSeconds seconds;
  };
  std::vector<Least> least;
  const std::vector<int> all = degrees(tables);
  PartSeconds pass(tables.kind_count(), std::numeric_limits<double>::infinity());
  for (const auto& [sort, gpu] : representatives(tables)) {
    speed_[sort] = 0;
    for (const int tp : all) {
      try {
        const int group = tables.bare_group(gpu, tp);
        least.push_back({sort, tp, tables.least_seconds(group, each).front()});
        const PartSeconds& own = tables.least_pass(group, each).front();
        for (std::size_t k = 0; k < pass.size(); ++k) pass[k] = std::min(pass[k], own[k]);
      } catch (const InputError&) {
        // A degree for which the profile lacks an operator is none of the layouts'.
      }
    }
  }
  shares_.assign(static_cast<std::size_t>(tables.layer_count()) + 1, 0.0);
  if (least.empty()) return;
  // Shares as the first sort sees them; another sort is then at most as fast as at what it does best.
  double whole = 0;
  const PartSeconds reference = least.front().seconds;
  for (std::size_t k = 0; k < tables.kind_count(); ++k)
    whole += reference[k] * tables.layers_of_kind(k, tables.layer_count());
  for (int i = 0; i <= tables.layer_count(); ++i)
    for (std::size_t k = 0; k < tables.kind_count(); ++k)
      shares_[static_cast<std::size_t>(i)] += reference[k] / whole * tables.layers_of_kind(k, i);
  for (const Least& one : least) {
    double speed = 0;
    for (std::size_t k = 0; k < tables.kind_count(); ++k)
      if (tables.layers_of_kind(k, tables.layer_count()) > 0)
        speed = std::max(speed, reference[k] / whole / one.seconds[k]);
    speed_[one.sort] = std::max(speed_[one.sort], speed / one.tp);
  }
  for (std::size_t k = 0; k < pass.size(); ++k) {
    const int count = tables.layers_of_kind(k, tables.layer_count());
    if (count > 0) least_pass_ += pass[k] * count;
  }
}

double GpuSpeeds::of(int gpu) const {
  return speed_.at(tables_.sites().sort(gpu));
}

double GpuSpeeds::share(LayerRange layers) const {
  return shares_[static_cast<std::size_t>(layers.end)] - shares_[static_cast<std::size_t>(layers.begin)];
}

double GpuSpeeds::sum(const std::vector<int>& gpus) const {
  double sum = 0;
  for (const int gpu : gpus) sum += of(gpu);
  return sum;
}

double throughput_bound(const SearchContext& context) {
  CostTables tables(context);
  double bound = throughput_bound(tables);
  if (expert_degrees(context.scenario.model, 2).size() < 2) return bound;
  CostTables divided(context, true);
  bound = std::max(bound, throughput_bound(divided));
  return std::max(bound, sharing_bound(context));
}

double throughput_bound(CostTables& tables) {
  const SearchContext& context = tables.context();
  if (!weights_fit(context)) return 0;
  const GpuSpeeds speeds(tables, tables.most_running(1));
  const WorkloadSummary& load = context.workload;
  const double yield = context.scenario.engine.expected_tokens();
  double bound = yield * speeds.sum(context.scenario.cluster.gpus());
  if (load.concurrency > 0) {
    // Every request that runs waits for its own pass at least; one runs or more.
    if (speeds.least_pass() > 0)
      bound = std::min(bound, yield * std::max(load.concurrency, 1.0) / speeds.least_pass());
  } else {
    bound = std::min(bound, load.rate * load.output);
  }
  return bound;
}

}  // namespace sextant
