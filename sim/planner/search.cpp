#include "sim/planner/search.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/mixtures.hpp"
#include "sim/planner/shared_experts.hpp"
#include "sim/planner/shared_experts_search.hpp"
#include "sim/planner/splits.hpp"

namespace sextant {
namespace {

constexpr double MB = 1e6;
constexpr double GB = 1e9;

Layout make_layout(const std::vector<std::vector<GpuGroup>>& pipelines,
                   const std::vector<std::vector<int>>& splits, LayerCut cut) {
  Layout layout;
  layout.tp = static_cast<int>(cut.tensor_parallel);
  layout.ep = static_cast<int>(cut.expert_parallel);
  layout.pp = static_cast<int>(pipelines.front().size());
  layout.dp = static_cast<int>(pipelines.size());
  for (std::size_t r = 0; r < pipelines.size(); ++r) {
    const std::vector<LayerRange> layers = ranges(splits[r]);
    std::vector<StagePlacement> stages;
    for (std::size_t s = 0; s < layers.size(); ++s) stages.push_back({layers[s], pipelines[r][s].gpus});
    layout.replicas.push_back(std::move(stages));
  }
  return layout;
}

std::string ep_text(int ep) {
  return ep > 1 ? fmt::format(", ep {}", ep) : "";
}

/// Groups in the order in which they are worth taking: the fastest first, then those with more memory; alike
/// ones stay in cluster order.
std::vector<GpuGroup> fastest_first(const SearchContext& context, std::vector<GpuGroup> groups,
                                    LayerCut cut) {
  struct Ranked {
    double seconds, bytes;
    std::string signature;
    GpuGroup group;
  };
  const Cluster& cluster = context.scenario.cluster;
  std::map<std::string, double> known;  // seconds by signature
  std::vector<Ranked> ranked;
  for (GpuGroup& group : groups) {
    std::string name = signature(cluster, {group});
    const auto [place, is_new] = known.try_emplace(name, 0);
    if (is_new) place->second = group_seconds(context, group, cut);
    double bytes = std::numeric_limits<double>::infinity();
    for (const int gpu : group.gpus) bytes = std::min(bytes, cluster.gpu(gpu).memory_bytes.value);
    ranked.push_back({place->second, bytes, std::move(name), std::move(group)});
  }
  std::stable_sort(ranked.begin(), ranked.end(), [](const Ranked& a, const Ranked& b) {
    if (a.seconds != b.seconds) return a.seconds < b.seconds;
    return a.bytes != b.bytes ? a.bytes > b.bytes : a.signature < b.signature;
  });
  groups.clear();
  for (Ranked& r : ranked) groups.push_back(std::move(r.group));
  return groups;
}

/// The layouts of one tp, ep and pp: every placement and split of one replica, and several replicas of the
/// best.
class DegreeSearch {
 public:
  DegreeSearch(CostTables& tables, SearchResult& result)
      : context_(tables.context()), tables_(tables), split_finder_(tables), result_(result) {}

  void try_degrees(int tp, int pp, const std::vector<GpuGroup>& groups) {
    bool fits = false;
    std::optional<Rejection> nearest;
    std::string failure;
    const Cluster& cluster = context_.scenario.cluster;
    for (const auto& pipeline : pipelines(cluster, groups, pp, most_placements)) {
      for (const auto& split : splits(pipeline, tp, failure)) {
        const Layout layout = make_layout({pipeline}, {split}, tables_.cut(tp));
        if (add(layout, nearest, failure)) fits = true;
      }
    }
    // A replica more than there are requests at once never has work.
    const int largest = std::min(static_cast<int>(groups.size()) / pp, most_replicas(context_.workload));
    const std::vector<Replica> replicas =
        fits ? best_replicas(tp, pp, groups, largest, failure) : std::vector<Replica>{};
    for (int dp = 2; dp <= static_cast<int>(replicas.size()); ++dp)
      if (worth_trying(dp, largest)) add(replicated(replicas, dp, tables_.cut(tp)), nearest, failure);
    if (fits) return;
    if (nearest)
      result_.rejections.push_back(*nearest);
    else if (!failure.empty())
      result_.rejections.push_back({fmt::format("tp {} x pp {}{}", tp, pp, ep_text(ep_of(tp))), failure, 0});
  }

 private:
  static constexpr std::size_t most_placements = 30;
  int ep_of(int tp) const { return static_cast<int>(tables_.cut(tp).expert_parallel); }

  /// A pipeline with its layers.
  struct Replica {
    std::vector<GpuGroup> pipeline;
    std::vector<int> split;
  };

  /// Pipelines of one name do the same: equal groups on nodes that can change places.
  std::vector<int> name(const std::vector<GpuGroup>& pipeline) const {
    std::vector<int> gpus;
    for (const GpuGroup& group : pipeline) gpus.insert(gpus.end(), group.gpus.begin(), group.gpus.end());
    std::vector<int> result = tables_.sites().name(gpus);
    result.push_back(static_cast<int>(pipeline.size()));
    return result;
  }

  static Layout replicated(const std::vector<Replica>& replicas, int dp, LayerCut cut) {
    std::vector<std::vector<GpuGroup>> pipelines;
    std::vector<std::vector<int>> splits;
    for (int r = 0; r < dp; ++r) {
      pipelines.push_back(replicas[static_cast<std::size_t>(r)].pipeline);
      splits.push_back(replicas[static_cast<std::size_t>(r)].split);
    }
    return make_layout(pipelines, splits, cut);
  }

  /// Pipelines out of the groups, one after another: each the best that is left, by the estimate of it alone.
  std::vector<Replica> best_replicas(int tp, int pp, std::vector<GpuGroup> left, int most,
                                     std::string& failure) {
    std::vector<Replica> replicas;
    while (static_cast<int>(replicas.size()) < most) {
      std::optional<Replica> best;
      EstimatedLayout of_best;
      for (const auto& pipeline : pipelines(context_.scenario.cluster, left, pp, most_placements)) {
        const auto& worth = splits(pipeline, tp, failure);
        if (worth.empty()) continue;
        const EstimatedLayout estimated = estimate_alone({pipeline, worth.front()}, tp, failure);
        if (estimated.kv_blocks <= 0 || (best && !better_estimate(estimated, of_best))) continue;
        best = Replica{pipeline, worth.front()};
        of_best = estimated;
      }
      if (!best) break;
      std::erase_if(left, [&](const GpuGroup& group) {
        return std::any_of(best->pipeline.begin(), best->pipeline.end(),
                           [&](const GpuGroup& taken) { return taken.gpus == group.gpus; });
      });
      replicas.push_back(std::move(*best));
    }
    return replicas;
  }

  /// The estimate of one replica; no KV blocks where it does not fit or lacks a profile.
  EstimatedLayout estimate_alone(const Replica& replica, int tp, std::string& failure) {
    const auto [place, is_new] = estimates_.try_emplace(name(replica.pipeline));
    if (!is_new) return place->second;
    try {
      place->second = estimate(tables_, make_layout({replica.pipeline}, {replica.split}, tables_.cut(tp)));
    } catch (const InputError& error) {
      failure = error.what();
    }
    return place->second;
  }

  /// Every replica count in small clusters; doublings and the largest in big ones.
  static bool worth_trying(int dp, int largest) {
    return largest <= 8 || dp == largest || (dp & (dp - 1)) == 0;
  }

  /// A profile that lacks an operator or a collective rules a layout out; it does not end the search.
  const std::vector<std::vector<int>>& splits(const std::vector<GpuGroup>& pipeline, int tp,
                                              std::string& failure) {
    const std::vector<int> key = name(pipeline);
    const auto known = splits_.find(key);
    if (known != splits_.end()) return known->second;
    std::vector<std::vector<int>>& worth = splits_[key];
    try {
      worth = split_finder_.worth_trying(pipeline, tp);
    } catch (const InputError& error) {
      failure = error.what();
    }
    return worth;
  }

  bool add(const Layout& layout, std::optional<Rejection>& nearest, std::string& failure) {
    try {
      EstimatedLayout estimated = estimate(tables_, layout);
      if (estimated.kv_blocks > 0) {
        result_.layouts.push_back(std::move(estimated));
        return true;
      }
    } catch (const InputError& error) {
      failure = error.what();
      return false;
    }
    const Rejection rejection = memory_rejection(layout, tightest_replica(context_, layout));
    if (!nearest || rejection.shortfall_bytes < nearest->shortfall_bytes) nearest = rejection;
    return false;
  }

  const SearchContext& context_;
  CostTables& tables_;
  SplitFinder split_finder_;
  SearchResult& result_;
  std::map<std::vector<int>, std::vector<std::vector<int>>> splits_;  // by name
  std::map<std::vector<int>, EstimatedLayout> estimates_;             // of one replica alone, by name
};

/// Finds what the rules of placement and split missed, or proves that there is nothing.
void prove(CostTables& tables, const SearchOptions& options, SearchResult& result) {
  std::optional<EstimatedLayout> best;
  if (!result.layouts.empty()) best = result.layouts.front();
  mix_replicas(tables, result.layouts, best);
  consider_naive_order(tables, options, best);
  result.proof.bound = throughput_bound(tables);
  branch_and_bound(tables, options, best, result.proof);
  if (best && (result.layouts.empty() || better_estimate(*best, result.layouts.front())))
    result.layouts.insert(result.layouts.begin(), *best);
}

}  // namespace

Rejection memory_rejection(const Layout& layout, const std::vector<StageMemory>& memory) {
  std::size_t worst = 0;
  for (std::size_t s = 1; s < memory.size(); ++s)
    if (memory[s].budget.for_kv() < memory[worst].budget.for_kv()) worst = s;
  const MemoryBudget& budget = memory[worst].budget;
  const std::string stage = layout.pp > 1 ? fmt::format("stage {}", worst) : "each GPU";
  Rejection rejection;
  rejection.layout = layout.tp > 1 && layout.pp > 1 ? fmt::format("tp {} x pp {}", layout.tp, layout.pp)
                     : layout.tp > 1                ? fmt::format("tp {}", layout.tp)
                                                    : fmt::format("pp {}", layout.pp);
  rejection.layout += ep_text(layout.ep);
  rejection.shortfall_bytes = -budget.for_kv();
  if (budget.weights > budget.device)
    rejection.reason = fmt::format("{} needs {:.1f} GB of weights, the GPU has {:.1f}", stage,
                                   budget.weights / GB, budget.device / GB);
  else if (budget.fits())
    rejection.reason = fmt::format(
        "{} has room for {:.0f} KV blocks of {:.1f} MB, the state of a sequence takes one in each of {} "
        "groups, "
        "and vLLM wants as many blocks as engine.max_num_seqs, which is {}",
        stage, std::floor(budget.for_kv() / budget.block_bytes), budget.block_bytes / MB,
        budget.pool.state_groups, budget.sequences);
  else
    rejection.reason = fmt::format(
        "{} needs {:.1f} GB of weights and {:.1f} GB beside them, of {:.1f} GB usable "
        "(gpu_memory_utilization); "
        "nothing is left for KV",
        stage, budget.weights / GB,
        (budget.activations + budget.context + budget.communication + budget.engine) / GB,
        budget.usable / GB);
  return rejection;
}

namespace {

/// All layouts with experts cut in width, or all with experts divided.
SearchResult search_one_cut(const SearchContext& context, const SearchOptions& options, bool divide_experts) {
  SearchResult result;
  CostTables tables(context, divide_experts);
  const int gpus = static_cast<int>(context.scenario.cluster.gpus().size());
  const int layers = context.scenario.model.architecture.layer_count();
  DegreeSearch search(tables, result);
  for (int tp = divide_experts ? 2 : 1; tp <= gpus; ++tp) {
    const LayerCut cut = tables.cut(tp);
    if (const auto reason = cut_obstacle(context.scenario.model, cut)) {
      result.rejections.push_back(
          {fmt::format("tp {}{}", tp, ep_text(static_cast<int>(cut.expert_parallel))), *reason, 0});
      continue;
    }
    const std::vector<GpuGroup> groups =
        fastest_first(context, gpu_groups(context.scenario.cluster, tp), cut);
    for (int pp = 1; pp <= static_cast<int>(groups.size()) && pp <= layers; ++pp) {
      result.proof.interrupted = options.stop != nullptr && options.stop->load();
      if (result.proof.interrupted && !result.layouts.empty()) break;
      search.try_degrees(tp, pp, groups);
      const EstimatedLayout* best = result.layouts.empty() ? nullptr : &result.layouts.front();
      if (options.progress) options.progress(tp, gpus, best);
    }
  }
  std::stable_sort(result.layouts.begin(), result.layouts.end(), better_estimate);
  // The bounds reckon with one token of each request in a round.
  const bool speculates = context.scenario.engine.speculation.has_value();
  if (options.prove && !result.proof.interrupted && !speculates) prove(tables, options, result);
  return result;
}

/// Layouts that mixtures and branch and bound made know nothing of experts.
void mark_divided(std::vector<EstimatedLayout>& layouts) {
  for (EstimatedLayout& estimated : layouts) {
    estimated.layout.ep = 1;
    for (const auto& replica : estimated.layout.replicas)
      estimated.layout.ep = std::max(estimated.layout.ep, tensor_parallel(replica));
  }
  // Nothing is divided there: the other search has them.
  std::erase_if(layouts, [](const EstimatedLayout& estimated) { return estimated.layout.ep == 1; });
}

void join(SearchResult& all, SearchResult more) {
  for (EstimatedLayout& layout : more.layouts) all.layouts.push_back(std::move(layout));
  std::stable_sort(all.layouts.begin(), all.layouts.end(), better_estimate);
  for (Rejection& rejection : more.rejections) all.rejections.push_back(std::move(rejection));
  SearchProof& proof = all.proof;
  proof.complete = proof.complete && more.proof.complete;
  proof.interrupted = proof.interrupted || more.proof.interrupted;
  proof.bound = std::max(proof.bound, more.proof.bound);
  proof.estimates += more.proof.estimates;
  proof.steps += more.proof.steps;
  for (const auto& [bound, count] : more.proof.pruned) proof.pruned[bound] += count;
  for (PrunedBranch& example : more.proof.examples) {
    const auto same = std::find_if(proof.examples.begin(), proof.examples.end(),
                                   [&](const PrunedBranch& one) { return one.bound == example.bound; });
    if (same == proof.examples.end())
      proof.examples.push_back(std::move(example));
    else if (example.value > same->value)
      *same = std::move(example);
  }
}

}  // namespace

SearchResult search_layouts(const SearchContext& context, const SearchOptions& options) {
  SearchResult result = search_one_cut(context, options, false);
  if (result.proof.interrupted || expert_degrees(context.scenario.model, 2).size() < 2) return result;
  SearchResult divided = search_one_cut(context, options, true);
  mark_divided(divided.layouts);
  join(result, std::move(divided));
  if (result.proof.interrupted || !may_share_experts(context)) return result;
  SearchResult shared = search_shared_experts(context, options);
  if (options.prove) shared.proof.bound = sharing_bound(context);
  join(result, std::move(shared));
  return result;
}

namespace {

/// Ranks that share experts wait for each other at every layer: a slower card would pace all, which no part
/// of the cost model sums.
void check_sharing(const Cluster& cluster, const FixedDeployment& fixed, const std::vector<int>& gpus) {
  const auto used = static_cast<std::ptrdiff_t>(fixed.tp) * fixed.dp;
  for (auto gpu = gpus.begin(); gpu != gpus.begin() + used; ++gpu)
    if (cluster.kind(*gpu) != cluster.kind(gpus.front()))
      throw InputError(
          fmt::format("{}: found {} and {} among data-parallel ranks that share experts (ep {}), "
                      "expected equal GPUs",
                      fixed.where, cluster.kind(gpus.front()), cluster.kind(*gpu), fixed.ep));
}

}  // namespace

Layout fixed_layout(const Scenario& scenario, const FixedDeployment& fixed) {
  const Cluster& cluster = scenario.cluster;
  const int layers = scenario.model.architecture.layer_count();
  const auto refuse = [&](const std::string& message) { throw InputError(fixed.where + ": " + message); };
  if (fixed.pp > layers)
    refuse(fmt::format("found pp {}, expected at most the model's {} layers", fixed.pp, layers));
  std::vector<int> counts = fixed.layers.empty() ? even_split(layers, fixed.pp) : fixed.layers;
  int sum = 0;
  for (const int count : counts) sum += count;
  if (sum != layers)
    refuse(fmt::format("found {} layers in all stages, expected the model's {}", sum, layers));
  if (const auto reason = cut_obstacle(scenario.model, {fixed.tp, fixed.ep}))
    refuse(fmt::format("tp {}{}: {}", fixed.tp, ep_text(fixed.ep), *reason));

  std::vector<int> gpus;
  if (fixed.placement.empty()) {
    for (const GpuGroup& group : gpu_groups(cluster, fixed.tp))
      gpus.insert(gpus.end(), group.gpus.begin(), group.gpus.end());
  } else {
    const std::vector<int> all = cluster.gpus();
    for (const std::string& name : fixed.placement) {
      const auto found = std::find_if(all.begin(), all.end(), [&](int gpu) {
        return cluster.devices[static_cast<std::size_t>(gpu)].name == name;
      });
      if (found == all.end()) {
        std::vector<std::string> names;
        for (const int gpu : all) names.push_back(cluster.devices[static_cast<std::size_t>(gpu)].name);
        refuse(fmt::format("placement: found no GPU '{}'{}", name, did_you_mean(name, names)));
      }
      if (std::find(gpus.begin(), gpus.end(), *found) != gpus.end())
        refuse(fmt::format("placement: found the GPU '{}' twice, expected each once", name));
      gpus.push_back(*found);
    }
  }
  const std::size_t needed = static_cast<std::size_t>(fixed.tp) * static_cast<std::size_t>(fixed.pp) *
                             static_cast<std::size_t>(fixed.dp);
  if (gpus.size() < needed)
    refuse(fmt::format("found {} GPUs in the cluster, expected tp x pp x dp, which is {}",
                       cluster.gpus().size(), needed));

  Layout layout = layout_in_order(gpus, counts, fixed.dp, {fixed.tp, fixed.ep});
  if (fixed.ep > fixed.tp) {
    check_sharing(cluster, fixed, gpus);
    share_experts(layout, fixed.ep / fixed.tp);
  }
  return layout;
}

Layout layout_in_order(const std::vector<int>& gpus, const std::vector<int>& layers, int dp, LayerCut cut) {
  const auto tp = static_cast<int>(cut.tensor_parallel);
  Layout layout{tp, static_cast<int>(layers.size()), dp, {}, static_cast<int>(cut.expert_parallel)};
  auto next = gpus.begin();
  for (int r = 0; r < dp; ++r) {
    std::vector<StagePlacement> stages;
    for (const LayerRange& range : ranges(layers)) {
      stages.push_back({range, std::vector<int>(next, next + tp)});
      next += tp;
    }
    layout.replicas.push_back(std::move(stages));
  }
  return layout;
}

}  // namespace sextant
