#include "sim/planner/pool_search.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/cluster_share.hpp"
#include "sim/planner/selections.hpp"

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
/// Divisions that are searched although a bound settles them, for the simulation to choose from.
constexpr std::size_t worth_a_choice = 8;
/// Beyond, cutting nodes in two is not tried.
constexpr double most_divisions = 5000;
/// Layouts of one division that the transfer between them is worked out for.
constexpr std::size_t pairs_of_division = 8;

using Key = std::vector<std::vector<int>>;

/// GPUs of one pool, in an order that all shares of the same key have.
struct Share {
  Key key;
  std::vector<int> gpus;
};

/// One way to divide the GPUs, and what bounds it.
struct Division {
  Counts counts;  // of the prefill pool
  Share prefill, decode;
  double bound = 0;
  const char* by = "roofline";
};

/// The best layouts of a share, on the GPUs that it was first searched with.
struct Searched {
  std::vector<int> gpus;
  std::vector<EstimatedLayout> layouts;
  bool complete = false;
};

class PoolSearch {
 public:
  PoolSearch(const SearchContext& context, const SearchOptions& options)
      : context_(context),
        options_(options),
        prefill_(context, ReplicaRole::prefill, context.scenario.cluster.gpus()),
        decode_(context, ReplicaRole::decode, context.scenario.cluster.gpus()),
        loaded_{context.scenario, context.machine, context.workload, {}, ReplicaRole::decode},
        loaded_tables_(loaded_),
        loaded_divided_tables_(loaded_, true),
        pools_(gpu_pools(context.scenario.cluster, Sites(context.machine.topology()))) {
    const WorkloadSummary& load = context.workload;
    if (load.concurrency <= 0) demand_ = load.rate * load.output;
  }

  SearchResult run() {
    std::vector<Division> divisions = bounded_divisions();
    result_.proof.complete = whole_nodes_only_ == false;
    for (const Division& division : divisions)
      result_.proof.bound = std::max(result_.proof.bound, division.bound);
    std::size_t searched = 0;
    for (const Division& division : divisions) {
      if (options_.stop != nullptr && options_.stop->load()) result_.proof.interrupted = true;
      if (result_.proof.interrupted && !result_.layouts.empty()) break;
      // What carries all that arrives may still be quicker; so much of it is searched.
      const bool settled = division.bound <= best_ && (best_ < demand_ || division.bound < demand_);
      if (division.bound <= 0 || (settled && searched >= worth_a_choice)) {
        settle(division, division.by);
        continue;
      }
      if (searched >= most_searched()) {
        if (best_ >= demand_)
          settle(division, "demand");
        else
          result_.proof.complete = false;
        continue;
      }
      search(division);
      ++searched;
      if (options_.progress)
        options_.progress(static_cast<std::int64_t>(searched), static_cast<std::int64_t>(divisions.size()),
                          nullptr);
    }
    // Nobody serves more than arrives, whatever was not searched.
    result_.proof.bound = std::min(result_.proof.bound, demand_);
    result_.proof.complete = (result_.proof.complete || best_ >= demand_) && !result_.proof.interrupted;
    std::stable_sort(result_.layouts.begin(), result_.layouts.end(), better_estimate);
    return std::move(result_);
  }

 private:
  /// In large clusters a share costs more to search, and there are more of them.
  std::size_t most_searched() const {
    const std::size_t gpus = context_.scenario.cluster.gpus().size();
    return gpus <= 8 ? 4096 : gpus <= 64 ? 12 : 6;
  }

  std::vector<Division> bounded_divisions() {
    CostTables prefill_tables(prefill_.context()), decode_tables(decode_.context());
    const GpuSpeeds prefill_speeds(prefill_tables, prefill_tables.most_running(1)),
        decode_speeds(decode_tables, decode_tables.most_running(1));
    std::vector<Division> divisions;
    std::set<std::pair<Key, Key>> known;
    whole_nodes_only_ = selection_count(pools_) > most_divisions;
    for (const Counts& counts : whole_nodes_only_ ? runs_of_nodes() : selections(pools_)) {
      Division division;
      division.counts = counts;
      Counts rest = counts;
      for (std::size_t p = 0; p < pools_.size(); ++p)
        rest[p] = static_cast<int>(pools_[p].gpus.size()) - counts[p];
      division.prefill = share(counts, false);
      division.decode = share(rest, true);
      if (division.decode.gpus.empty()) continue;
      if (!known.insert({division.prefill.key, division.decode.key}).second) continue;
      const double roofline =
          holds_weights(division.prefill.gpus) && holds_weights(division.decode.gpus)
              ? std::min(prefill_speeds.sum(division.prefill.gpus), decode_speeds.sum(division.decode.gpus))
              : 0;
      const double link = transfer_bound(context_, division.prefill.gpus, division.decode.gpus);
      division.bound = std::min(roofline, link);
      division.by = roofline <= 0 ? "memory" : link < roofline ? "link" : "roofline";
      divisions.push_back(std::move(division));
    }
    std::stable_sort(divisions.begin(), divisions.end(),
                     [](const Division& a, const Division& b) { return a.bound > b.bound; });
    return divisions;
  }

  /// The first nodes, up to each: where there are too many ways to choose GPUs one by one.
  std::vector<Counts> runs_of_nodes() const {
    std::vector<Counts> result;
    Counts counts(pools_.size(), 0);
    for (std::size_t p = 0; p < pools_.size(); ++p) {
      counts[p] = static_cast<int>(pools_[p].gpus.size());
      const bool node_ends = p + 1 == pools_.size() || pools_[p + 1].node != pools_[p].node;
      if (node_ends) result.push_back(counts);
    }
    return result;
  }

  /// The first GPUs of each pool, or the last ones.
  Share share(const Counts& counts, bool last) const {
    const Selection selection = canonical(pools_, counts);
    Share result{selection.key, {}};
    for (std::size_t i = 0; i < selection.pools.size(); ++i) {
      const std::vector<int>& all = pools_[static_cast<std::size_t>(selection.pools[i])].gpus;
      const auto count = selection.counts[i];
      const auto first = last ? all.end() - count : all.begin();
      result.gpus.insert(result.gpus.end(), first, first + count);
    }
    return result;
  }

  bool holds_weights(const std::vector<int>& gpus) const {
    const Scenario& scenario = context_.scenario;
    double room = 0;
    for (const int gpu : gpus) room += scenario.cluster.gpu(gpu).memory_bytes.value;
    const StageShape whole{{0, scenario.model.architecture.layer_count()}, 1, true, true};
    return stage_weights(scenario.model.architecture, scenario.model.weights, whole).layers <=
           room * scenario.engine.gpu_memory_utilization;
  }

  void settle(const Division& division, const char* by) {
    ++result_.proof.pruned[by];
    const auto same = std::find_if(result_.proof.examples.begin(), result_.proof.examples.end(),
                                   [&](const PrunedBranch& known) { return known.bound == by; });
    const bool nearest = same == result_.proof.examples.end() || division.bound > same->value;
    if (!nearest && !options_.pruned) return;
    const PrunedBranch pruned{words(division), by, division.bound, best_, 0};
    if (options_.pruned) options_.pruned(pruned);
    if (same == result_.proof.examples.end())
      result_.proof.examples.push_back(pruned);
    else if (nearest)
      *same = pruned;
  }

  std::string words(const Division& division) const {
    return "prefill on " + describe(context_.scenario.cluster, pools_, division.counts);
  }

  /// The layouts of one pool, on the share's own GPUs, by what they carry.
  std::vector<EstimatedLayout> layouts_of(const Share& share, ReplicaRole role, bool& complete) {
    const auto [place, is_new] = searched_.try_emplace({role, share.key});
    Searched& own = place->second;
    if (is_new) {
      const PoolContext pool(context_, role, share.gpus);
      SearchOptions options = options_;
      options.progress = nullptr;
      options.pruned = nullptr;
      SearchResult found = search_layouts(pool.context(), options);
      result_.proof.estimates += found.proof.estimates;
      result_.proof.steps += found.proof.steps;
      own = {share.gpus, std::move(found.layouts), found.proof.complete};
      if (own.layouts.empty())
        for (Rejection& rejection : found.rejections) {
          rejection.layout = fmt::format(
              "the {} pool's {}", role == ReplicaRole::prefill ? "prefill" : "decode", rejection.layout);
          result_.rejections.push_back(std::move(rejection));
        }
    }
    complete = complete && own.complete;
    std::vector<EstimatedLayout> layouts;
    std::set<std::pair<int, int>> degrees;  // the best of each
    for (const EstimatedLayout& one : own.layouts)
      if (layouts.empty() || degrees.insert({one.layout.tp, one.layout.pp}).second) {
        layouts.push_back(one);
        layouts.back().layout = moved(one.layout, own.gpus, share.gpus);
        degrees.insert({one.layout.tp, one.layout.pp});
      }
    return layouts;
  }

  /// Weighs the best pairs of layouts of a division, the transfer between them at last.
  void search(const Division& division) {
    bool complete = true;
    const auto prefill = layouts_of(division.prefill, ReplicaRole::prefill, complete);
    const auto decode = layouts_of(division.decode, ReplicaRole::decode, complete);
    std::vector<EstimatedLayout> pairs;
    for (const EstimatedLayout& to : decode)
      for (const EstimatedLayout& from : prefill) {
        EstimatedLayout pair = to;
        pair.prefill = from.layout;
        pair.kv_blocks = to.kv_blocks;
        pair.output_throughput = std::min({demand_, from.output_throughput, to.output_throughput});
        pair.token_seconds = token_seconds(from, to, pair.output_throughput);
        pairs.push_back(std::move(pair));
      }
    std::stable_sort(pairs.begin(), pairs.end(), better_estimate);
    double most = 0, unlinked = 0;
    for (std::size_t i = 0; i < std::min(pairs.size(), pairs_of_division); ++i) {
      EstimatedLayout& pair = pairs[i];
      unlinked = std::max(unlinked, pair.output_throughput);
      pair.output_throughput =
          std::min(pair.output_throughput, transfer_rate(context_, *pair.prefill, pair.layout));
      most = std::max(most, pair.output_throughput);
      result_.layouts.push_back(std::move(pair));
    }
    best_ = std::max(best_, most);
    // Where the links decide, layouts that carry less by themselves may carry more together.
    if (!complete || (most < unlinked && division.bound > best_ && best_ < demand_))
      result_.proof.complete = false;
  }

  /// A request's seconds a token, its way through the prefill pool and the mean wait there included (of fixed
  /// service times and Poisson arrivals, Pollaczek and Khinchine).
  double token_seconds(const EstimatedLayout& prefill, const EstimatedLayout& decode, double throughput) {
    constexpr double fullest = 0.95;  // a full pool's wait grows with the run
    const WorkloadSummary& load = context_.workload;
    const auto chunks =
        std::max(1.0, load.prompt / static_cast<double>(context_.scenario.engine.max_num_batched_tokens));
    const double service = load.output * prefill.layout.dp / prefill.output_throughput;
    const double busy = std::min(fullest, throughput / prefill.output_throughput);
    const double first = prefill.token_seconds + (1 - 1 / chunks) * service + busy / (1 - busy) / 2 * service;
    CostTables& tables = decode.layout.ep > 1 ? loaded_divided_tables_ : loaded_tables_;
    return first / load.output + estimate(tables, decode.layout).token_seconds;
  }

  const SearchContext& context_;
  const SearchOptions& options_;
  PoolContext prefill_, decode_;  // of the whole cluster each
  SearchContext loaded_;          // decode at the demand that there is
  CostTables loaded_tables_, loaded_divided_tables_;
  double demand_ = infinity;
  std::vector<GpuPool> pools_;
  bool whole_nodes_only_ = false;
  std::map<std::pair<ReplicaRole, Key>, Searched> searched_;
  double best_ = 0;
  SearchResult result_;
};

}  // namespace

SearchResult search_pools(const SearchContext& context, const SearchOptions& options) {
  return PoolSearch(context, options).run();
}

PoolRates pool_rates(const SearchContext& context, const Layout& prefill, const Layout& decode) {
  const std::vector<int> all = context.scenario.cluster.gpus();
  const PoolContext prompts(context, ReplicaRole::prefill, all), tokens(context, ReplicaRole::decode, all);
  return {estimate(prompts.context(), prefill).output_throughput,
          estimate(tokens.context(), decode).output_throughput, transfer_rate(context, prefill, decode)};
}

}  // namespace sextant
