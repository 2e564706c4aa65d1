#include "sim/planner/mixtures.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"

namespace sextant {
namespace {

/// The only kind of GPU that a layout uses; empty if there are several.
std::string only_kind(const Cluster& cluster, const Layout& layout) {
  std::set<std::string> kinds;
  for (const auto& replica : layout.replicas)
    for (const StagePlacement& stage : replica) kinds.insert(cluster.kinds(stage.gpus));
  return kinds.size() == 1 && kinds.begin()->find(" + ") == std::string::npos ? *kinds.begin() : "";
}

Layout joined(const Layout& a, const Layout& b) {
  Layout layout = a;
  layout.replicas.insert(layout.replicas.end(), b.replicas.begin(), b.replicas.end());
  layout.dp = static_cast<int>(layout.replicas.size());
  return layout;
}

void offer(CostTables& tables, const Layout& layout, std::optional<EstimatedLayout>& best) {
  try {
    EstimatedLayout estimated = estimate(tables, layout);
    if (estimated.kv_blocks > 0 && (!best || better_estimate(estimated, *best))) best = std::move(estimated);
  } catch (const InputError&) {
    // A profile lacks an operator of it: it cannot be a layout.
  }
}

}  // namespace

void mix_replicas(CostTables& tables, const std::vector<EstimatedLayout>& layouts,
                  std::optional<EstimatedLayout>& best) {
  constexpr std::size_t most_of_kind = 12, most_mixtures = 4000;
  const Cluster& cluster = tables.context().scenario.cluster;
  // Best first, as `layouts` stand.
  std::map<std::string, std::vector<const Layout*>> by_kind;
  for (const EstimatedLayout& one : layouts) {
    const std::string kind = only_kind(cluster, one.layout);
    if (!kind.empty() && by_kind[kind].size() < most_of_kind) by_kind[kind].push_back(&one.layout);
  }
  std::vector<Layout> mixtures;
  for (const auto& [kind, own] : by_kind) {
    const std::size_t before = mixtures.size();
    for (const Layout* one : own) {
      for (std::size_t i = 0; i < before && mixtures.size() < most_mixtures; ++i)
        mixtures.push_back(joined(mixtures[i], *one));
      mixtures.push_back(*one);
    }
  }
  for (const Layout& mixture : mixtures) offer(tables, mixture, best);
}

void consider_naive_order(CostTables& tables, const SearchOptions& options,
                          std::optional<EstimatedLayout>& best) {
  const Scenario& scenario = tables.context().scenario;
  const std::vector<int> in_order = scenario.cluster.gpus();
  const int gpus = static_cast<int>(in_order.size());
  const int layers = scenario.model.architecture.layer_count();
  constexpr int few = 64;  // GPUs up to which every number of replicas is tried
  for (int tp = 1; tp <= gpus; ++tp) {
    if (cut_obstacle(scenario.model, tables.cut(tp))) continue;
    for (int pp = 1; pp <= std::min(layers, gpus / tp); ++pp) {
      if (options.stop != nullptr && options.stop->load()) return;
      const int largest = std::min(gpus / tp / pp, most_replicas(tables.context().workload));
      for (int dp = 1; dp <= largest; ++dp)
        if (gpus <= few || dp == largest || dp == 1)
          offer(tables, layout_in_order(in_order, even_split(layers, pp), dp, {tp, 1}), best);
    }
  }
}

}  // namespace sextant
