#include "sim/planner/shared_experts_search.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/mixtures.hpp"
#include "sim/planner/shared_experts.hpp"

namespace sextant {
namespace {

/// Servers that do the same.
struct ServerSort {
  std::vector<std::vector<int>> servers;  ///< the GPUs of each
  std::unique_ptr<const SharingServer> costs;
};

/// The servers of one kind of GPU, tp and ep that the cluster has room for.
struct ServerOffer {
  LayerCut cut;
  std::string name;  ///< "tp 1 x dp 8, ep 8": of one server
  std::vector<ServerSort> sorts;
  int count = 0;
};

/// GPUs of one kind in each node, those that are placed alike beside each other.
std::map<std::string, std::vector<std::vector<int>>> gpus_by_kind(const Cluster& cluster,
                                                                  const Sites& sites) {
  std::map<std::string, std::vector<std::vector<int>>> result;
  for (const Node& node : cluster.nodes) {
    std::map<std::string, std::vector<int>> own;
    for (const int gpu : node.gpus) own[cluster.kind(gpu)].push_back(gpu);
    for (auto& [kind, gpus] : own) {
      std::stable_sort(gpus.begin(), gpus.end(), [&](int a, int b) { return sites.sort(a) < sites.sort(b); });
      result[kind].push_back(std::move(gpus));
    }
  }
  return result;
}

std::vector<StagePlacement> first_rank(const SearchContext& context, const std::vector<int>& gpus, int tp) {
  const int layers = context.scenario.model.architecture.layer_count();
  return {{{0, layers}, std::vector<int>(gpus.begin(), gpus.begin() + tp), gpus}};
}

class Offers {
 public:
  explicit Offers(const SearchContext& context)
      : context_(context),
        sites_(context.machine.topology()),
        by_kind_(gpus_by_kind(context.scenario.cluster, sites_)) {}

  /// Calls visit(offer) for each kind of GPU, tp and ep, until it says false.
  template <class Visit>
  void each(const Visit& visit) const {
    for (const auto& [kind, nodes] : by_kind_) {
      std::size_t largest = 0;
      for (const auto& gpus : nodes) largest = std::max(largest, gpus.size());
      for (int tp = 1; 2 * tp <= static_cast<int>(largest); ++tp)
        for (int ep = 2 * tp; ep <= static_cast<int>(largest); ep += tp)
          if (!cut_obstacle(context_.scenario.model, {tp, ep}) && !visit(offer(nodes, {tp, ep}))) return;
    }
  }

 private:
  ServerOffer offer(const std::vector<std::vector<int>>& nodes, LayerCut cut) const {
    ServerOffer result{
        cut,
        fmt::format("tp {} x dp {}, ep {}", cut.tensor_parallel, cut.sharing_ranks(), cut.expert_parallel),
        {},
        0};
    std::map<std::vector<int>, std::size_t> known;
    for (const auto& gpus : nodes)
      for (auto next = gpus.begin(); gpus.end() - next >= cut.expert_parallel; next += cut.expert_parallel) {
        std::vector<int> server(next, next + cut.expert_parallel);
        const auto [place, is_new] = known.try_emplace(sites_.name(server), result.sorts.size());
        if (is_new) result.sorts.emplace_back();
        result.sorts[place->second].servers.push_back(std::move(server));
        ++result.count;
      }
    return result;
  }

  const SearchContext& context_;
  Sites sites_;
  std::map<std::string, std::vector<std::vector<int>>> by_kind_;
};

/// The layouts of one offer, by number of servers.
class OfferSearch {
 public:
  OfferSearch(const SearchContext& context, ServerOffer& offer, SearchResult& result)
      : context_(context), offer_(offer), result_(result) {}

  void run() {
    if (!find_costs()) return;
    // A server more than there are requests at once never has work.
    int largest = 0;
    for (const ServerSort& sort : offer_.sorts) largest += static_cast<int>(sort.servers.size());
    largest = std::min(largest, most_replicas(context_.workload));
    std::optional<EstimatedLayout> best;  // of the numbers of servers that are no result by themselves
    std::vector<int> of_best;
    for (int count = 1; count <= largest; ++count) {
      std::vector<int> taken;
      std::optional<EstimatedLayout> found = best_of(count, taken);
      if (!found) continue;
      const bool listed = largest <= 8 || count == largest || (count & (count - 1)) == 0;
      if (listed) {
        add(std::move(*found), taken, count);
      } else if (!best || better_estimate(*found, *best)) {
        best = std::move(found);
        of_best = taken;
      }
    }
    if (best) {
      int count = 0;
      for (const int of_sort : of_best) count += of_sort;
      add(std::move(*best), of_best, count);
    }
  }

 private:
  /// Drops the sorts that cannot be; false if none is left.
  bool find_costs() {
    std::string failure;
    std::optional<Rejection> nearest;
    for (std::size_t s = 0; s < offer_.sorts.size(); ++s) {
      ServerSort& sort = offer_.sorts[s];
      const auto rank =
          first_rank(context_, sort.servers.front(), static_cast<int>(offer_.cut.tensor_parallel));
      try {
        auto costs = std::make_unique<const SharingServer>(context_, rank);
        if (costs->kv_blocks() > 0) {
          sort.costs = std::move(costs);
          continue;
        }
      } catch (const InputError& error) {
        failure = error.what();
        continue;
      }
      std::vector<int> one(offer_.sorts.size(), 0);
      one[s] = 1;
      const Layout layout = laid_out(one, 1);
      Rejection rejection = memory_rejection(layout, tightest_replica(context_, layout));
      rejection.layout = offer_.name;
      if (!nearest || rejection.shortfall_bytes < nearest->shortfall_bytes) nearest = std::move(rejection);
    }
    std::erase_if(offer_.sorts, [](const ServerSort& sort) { return sort.costs == nullptr; });
    if (!offer_.sorts.empty()) return true;
    if (nearest)
      result_.rejections.push_back(std::move(*nearest));
    else
      result_.rejections.push_back({offer_.name, failure, 0});
    return false;
  }

  /// The best choice of that many servers and how many of each sort it takes: for each bound on the time
  /// between tokens those within it that yield most.
  std::optional<EstimatedLayout> best_of(int count, std::vector<int>& taken) {
    std::vector<ServerEstimate> estimates;
    std::set<double> bounds;
    for (const ServerSort& sort : offer_.sorts) {
      estimates.push_back(sort.costs->estimate(count));
      bounds.insert(estimates.back().token_seconds);
      ++result_.proof.estimates;
    }
    std::vector<std::size_t> order(estimates.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return estimates[a].throughput > estimates[b].throughput;
    });
    std::optional<EstimatedLayout> best;
    for (const double bound : bounds) {
      std::vector<std::pair<ServerEstimate, int>> servers;
      std::vector<int> numbers(order.size(), 0);
      int missing = count;
      for (const std::size_t i : order) {
        if (estimates[i].token_seconds > bound || missing == 0) continue;
        numbers[i] = std::min(missing, static_cast<int>(offer_.sorts[i].servers.size()));
        missing -= numbers[i];
        servers.emplace_back(estimates[i], numbers[i]);
      }
      if (missing > 0) continue;
      EstimatedLayout joined = join_servers(context_, servers);
      if (best && !better_estimate(joined, *best)) continue;
      best = std::move(joined);
      taken = std::move(numbers);
    }
    return best;
  }

  void add(EstimatedLayout estimated, const std::vector<int>& taken, int count) {
    estimated.layout = laid_out(taken, count);
    result_.layouts.push_back(std::move(estimated));
  }

  Layout laid_out(const std::vector<int>& taken, int servers) const {
    const auto tp = static_cast<int>(offer_.cut.tensor_parallel);
    std::vector<int> gpus;
    for (std::size_t s = 0; s < taken.size(); ++s)
      for (int n = 0; n < taken[s]; ++n) {
        const auto& server = offer_.sorts[s].servers[static_cast<std::size_t>(n)];
        gpus.insert(gpus.end(), server.begin(), server.end());
      }
    const auto ranks = static_cast<int>(offer_.cut.sharing_ranks());
    Layout layout = layout_in_order(gpus, {context_.scenario.model.architecture.layer_count()},
                                    servers * ranks, {tp, offer_.cut.expert_parallel});
    share_experts(layout, ranks);
    return layout;
  }

  const SearchContext& context_;
  ServerOffer& offer_;
  SearchResult& result_;
};

/// visit(offer, costs) of every sort of server that fits.
template <class Visit>
void each_server(const SearchContext& context, const Visit& visit) {
  if (!may_share_experts(context)) return;
  Offers(context).each([&](const ServerOffer& offer) {
    for (const ServerSort& sort : offer.sorts) {
      try {
        const SharingServer costs(
            context, first_rank(context, sort.servers.front(), static_cast<int>(offer.cut.tensor_parallel)));
        if (costs.kv_blocks() > 0) visit(offer, sort, costs);
      } catch (const InputError&) {
        // A link or profile that lacks something: in no layout.
      }
    }
    return true;
  });
}

}  // namespace

bool may_share_experts(const SearchContext& context) {
  const Scenario& scenario = context.scenario;
  return expert_degrees(scenario.model, 2).size() > 1 && scenario.faults.empty() &&
         !scenario.engine.speculation && context.role == ReplicaRole::whole;
}

SearchResult search_shared_experts(const SearchContext& context, const SearchOptions& options) {
  SearchResult result;
  result.proof.complete = true;
  if (!may_share_experts(context)) return result;
  Offers(context).each([&](ServerOffer offer) {
    result.proof.interrupted = options.stop != nullptr && options.stop->load();
    if (result.proof.interrupted) return false;
    OfferSearch(context, offer, result).run();
    return true;
  });
  result.proof.complete = !result.proof.interrupted;
  std::stable_sort(result.layouts.begin(), result.layouts.end(), better_estimate);
  return result;
}

std::map<int, double> sharing_speeds(const SearchContext& context) {
  std::map<std::string, double> by_kind;
  const Cluster& cluster = context.scenario.cluster;
  each_server(context, [&](const ServerOffer&, const ServerSort& sort, const SharingServer& costs) {
    double& speed = by_kind[cluster.kind(sort.servers.front().front())];
    speed = std::max(speed, costs.highest_rate());
  });
  std::map<int, double> speeds;
  for (const int gpu : cluster.gpus())
    if (const auto known = by_kind.find(cluster.kind(gpu)); known != by_kind.end())
      speeds[gpu] = known->second;
  return speeds;
}

double sharing_bound(const SearchContext& context) {
  std::map<std::string, int> gpus;
  const Cluster& cluster = context.scenario.cluster;
  for (const int gpu : cluster.gpus()) ++gpus[cluster.kind(gpu)];
  const WorkloadSummary& load = context.workload;
  double bound = 0;
  each_server(context, [&](const ServerOffer&, const ServerSort& sort, const SharingServer& costs) {
    // All servers of a layout are of one kind of GPU.
    double own = costs.highest_rate() * gpus[cluster.kind(sort.servers.front().front())];
    own = std::min(own,
                   load.concurrency > 0 ? load.concurrency / costs.least_round() : load.rate * load.output);
    bound = std::max(bound, own);
  });
  return bound;
}

}  // namespace sextant
