#include "sim/planner/branch_and_bound.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <tuple>

#include "models/base/error.hpp"
#include "sim/planner/selections.hpp"

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
/// Bounds are sums in another order than what they bound.
constexpr double rounding = 1e-9;

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

/// One stage within a selection: GPUs of each of its pools, and the pool of the leading one.
struct StageGpus {
  Counts counts;
  int lead = 0;
};

/// One replica on a selection that no other one on it beats in both.
struct Replica {
  std::vector<StageGpus> gpus;
  std::vector<StageChoice> stages;
  ReplicaEstimate estimate;
};

/// The best layout known, and whether a bound shows that something cannot be better.
class Incumbent {
 public:
  explicit Incumbent(std::optional<EstimatedLayout>& best) : best_(best) { update(); }
  void offer(EstimatedLayout layout) {
    if (best_ && !better_estimate(layout, *best_)) return;
    best_ = std::move(layout);
    update();
  }
  bool settles(double throughput, double token_seconds) const {
    if (!best_ || best_->output_throughput <= 0) return false;
    if (throughput < same_class_from_) return true;
    return throughput < better_class_from_ && token_seconds >= best_->token_seconds;
  }
  double throughput() const { return best_ ? best_->output_throughput : 0; }
  double same_class_from() const { return same_class_from_; }

 private:
  void update() {
    if (!best_ || best_->output_throughput <= 0) return;
    const double grade = throughput_grade(best_->output_throughput);
    same_class_from_ = std::pow(1.01, grade) * (1 - rounding);
    better_class_from_ = std::pow(1.01, grade + 1) * (1 - rounding);
  }
  std::optional<EstimatedLayout>& best_;
  double same_class_from_ = 0, better_class_from_ = 0;
};

/// What bounds a partial replica.
struct Bound {
  double throughput = infinity, token_seconds = 0;
  bool by_stage = false;  ///< by a stage that is there already: more layers on it are worse still
  bool by_link = false;   ///< not by the GPUs alone
};

class Search {
 public:
  Search(CostTables& tables, const SearchOptions& options, std::optional<EstimatedLayout>& best,
         SearchProof& proof)
      : tables_(tables), options_(options), incumbent_(best), best_(best), proof_(proof) {
    const Cluster& cluster = context().scenario.cluster;
    pools_ = gpu_pools(cluster, tables.sites());
    for (int tp = 1; tp <= static_cast<int>(cluster.gpus().size()); ++tp)
      if (!cut_obstacle(context().scenario.model, tables_.cut(tp))) degrees_.push_back(tp);
  }

  void run() {
    constexpr double most = 5000;  // beyond, even their list is too long to be worth it
    too_many_ = selection_count(pools_) > most;
    if (!too_many_) selections_ = selections(pools_);
    const int gpus = static_cast<int>(context().scenario.cluster.gpus().size());
    // Without its slowest replica a layout of more gives no less: they take turns at having no work.
    const int most_dp = std::min(gpus, most_replicas(context().workload));
    for (int dp = 1; dp <= most_dp && !over(); ++dp) {
      dp_ = dp;
      const GpuSpeeds speeds(tables_, tables_.most_running(dp));
      speeds_ = &speeds;
      pool_speeds_.clear();
      for (const GpuPool& pool : pools_) pool_speeds_.push_back(speeds.of(pool.gpus.front()));
      share_ = context().workload.concurrency > 0 ? infinity
                                                  : context().workload.rate * context().workload.output / dp;
      fronts_.clear();
      left_.clear();
      for (const GpuPool& pool : pools_) left_.push_back(static_cast<int>(pool.gpus.size()));
      chosen_.clear();
      pack(0, 0, 0, 0);
      if (options_.progress) options_.progress(dp, most_dp, best_ ? &*best_ : nullptr);
    }
    proof_.complete = !over();
  }

 private:
  const SearchContext& context() const { return tables_.context(); }

  bool over() {
    if (options_.stop != nullptr && options_.stop->load(std::memory_order_relaxed)) proof_.interrupted = true;
    return proof_.interrupted || proof_.steps >= options_.most_steps || too_many_;
  }

  double speed_of(const Counts& counts) const {
    double sum = 0;
    for (std::size_t p = 0; p < counts.size(); ++p) sum += counts[p] * pool_speeds_[p];
    return sum;
  }

  /// What `replicas` replicas can yield together on those GPUs.
  double most_of(const Counts& counts, int replicas) const {
    return replicas == 0 ? 0 : std::min(replicas * share_, speed_of(counts));
  }

  void settle(const char* bound, double value, double token_seconds, const auto& branch) {
    ++proof_.pruned[bound];
    const auto same = [&](const PrunedBranch& known) { return known.bound == bound; };
    auto example = std::find_if(proof_.examples.begin(), proof_.examples.end(), same);
    const bool nearest = example == proof_.examples.end() || value > example->value;
    if (!nearest && !options_.pruned) return;
    const PrunedBranch pruned{branch(), bound, value, incumbent_.throughput(), token_seconds};
    if (options_.pruned) options_.pruned(pruned);
    if (!nearest) return;
    if (example == proof_.examples.end())
      proof_.examples.push_back(pruned);
    else
      *example = pruned;
  }

  std::string words(const Counts& counts) const {
    return describe(context().scenario.cluster, pools_, counts);
  }

  // ---- replicas beside each other

  /// Adds replica after replica, in the order of the selections so that no set of them comes twice.
  void pack(std::size_t from, std::size_t from_replica, double throughput, double token_seconds) {
    const int missing = dp_ - static_cast<int>(chosen_.size());
    if (missing == 0) return complete();
    for (std::size_t i = from; i < selections_.size() && !over(); ++i) {
      const Counts& counts = selections_[i];
      bool fits = true;
      for (std::size_t p = 0; p < counts.size(); ++p) fits = fits && counts[p] <= left_[p];
      if (!fits) continue;
      ++proof_.steps;
      for (std::size_t p = 0; p < counts.size(); ++p) left_[p] -= counts[p];
      const double others = throughput + most_of(left_, missing - 1);
      const double bound = (others + most_of(counts, 1)) * (1 + rounding);
      if (incumbent_.settles(bound, token_seconds)) {
        settle("roofline", bound, token_seconds,
               [&] { return fmt::format("{} replicas, one of them on {}", dp_, words(counts)); });
      } else {
        const std::vector<Replica>& front = front_of(counts);
        for (std::size_t r = i == from ? from_replica : 0; r < front.size() && !over(); ++r) {
          const ReplicaEstimate& own = front[r].estimate;
          const double slowest = std::max(token_seconds, own.token_seconds);
          if (incumbent_.settles((others + own.throughput) * (1 + rounding), slowest)) continue;
          chosen_.push_back({i, &front[r]});
          pack(i, r, throughput + own.throughput, slowest);
          chosen_.pop_back();
        }
      }
      for (std::size_t p = 0; p < counts.size(); ++p) left_[p] += counts[p];
    }
  }

  void complete() {
    Layout layout;
    layout.dp = dp_;
    std::vector<std::size_t> used(pools_.size(), 0);
    for (const auto& [selection, replica] : chosen_) {
      const std::vector<int> pools = canonical(pools_, selections_[selection]).pools;
      std::vector<StagePlacement> stages;
      for (std::size_t s = 0; s < replica->stages.size(); ++s) {
        std::vector<int> gpus;
        take(pools, replica->gpus[s], used, gpus);
        stages.push_back({replica->stages[s].layers, gpus});
      }
      layout.replicas.push_back(std::move(stages));
    }
    layout.tp = tensor_parallel(layout.replicas.front());
    layout.pp = static_cast<int>(layout.replicas.front().size());
    incumbent_.offer(estimate(tables_, layout));
  }

  /// The next unused GPUs of those pools, the leading one first.
  void take(const std::vector<int>& pools, const StageGpus& stage, std::vector<std::size_t>& used,
            std::vector<int>& gpus) const {
    for (std::size_t i = 0; i < pools.size(); ++i)
      for (int n = 0; n < stage.counts[i]; ++n) {
        const int gpu = pools_[at(pools[i])].gpus[used[at(pools[i])]++];
        gpus.push_back(gpu);
        if (static_cast<int>(i) == stage.lead && n == 0)
          std::rotate(gpus.begin(), gpus.end() - 1, gpus.end());
      }
  }

  // ---- one replica on a selection of GPUs

  const std::vector<Replica>& front_of(const Counts& counts) {
    Selection selection = canonical(pools_, counts);
    const auto [place, is_new] = fronts_.try_emplace(selection.key);
    if (!is_new) return place->second;
    selection_ = std::move(selection);
    front_ = &place->second;
    Counts others = counts;
    for (std::size_t p = 0; p < pools_.size(); ++p)
      others[p] = static_cast<int>(pools_[p].gpus.size()) - counts[p];
    others_ = most_of(others, dp_ - 1);
    groups_.clear();
    const int gpus = std::accumulate(counts.begin(), counts.end(), 0);
    for (const int tp : degrees_) {
      if (gpus % tp != 0 || gpus / tp > tables_.layer_count()) continue;
      tp_ = tp;
      pp_ = gpus / tp;
      partial_ = {};
      free_ = selection_.counts;
      extend(0, tables_.most_running(dp_));
    }
    return place->second;
  }

  std::string branch_words() const {
    std::string text = fmt::format("{} replicas, one of them tp {} x pp {}", dp_, tp_, pp_);
    for (std::size_t s = 0; s < partial_.stages.size(); ++s) {
      Counts counts(pools_.size(), 0);
      for (std::size_t i = 0; i < selection_.pools.size(); ++i)
        counts[at(selection_.pools[i])] = partial_.gpus[s].counts[i];
      text += fmt::format(", {} layers on {}", partial_.stages[s].layers.size(), words(counts));
    }
    return text;
  }

  /// Gives the next stage GPUs, every way.
  void extend(int begin, double running) {
    StageGpus stage{Counts(free_.size(), 0), 0};
    const auto choose = [&](auto&& self, std::size_t pool, int missing) -> void {
      if (over()) return;
      if (missing == 0) {
        for (std::size_t i = 0; i < stage.counts.size() && !over(); ++i) {
          if (stage.counts[i] == 0) continue;
          stage.lead = static_cast<int>(i);
          give_layers(stage, begin, running);
        }
        return;
      }
      if (pool == free_.size()) return;
      for (int n = std::min(free_[pool], missing); n >= 0; --n) {
        stage.counts[pool] = n;
        free_[pool] -= n;
        self(self, pool + 1, missing - n);
        free_[pool] += n;
      }
      stage.counts[pool] = 0;
    };
    choose(choose, 0, tp_);
  }

  struct KnownGroup {
    int group = -1;  ///< -1: a profile lacks something
    int lead = -1;   ///< GPU
    double bare = 0;
  };

  const KnownGroup& known_group(const StageGpus& stage) {
    const auto [place, is_new] = groups_.try_emplace({stage.counts, stage.lead});
    if (!is_new) return place->second;
    std::vector<std::size_t> unused(pools_.size(), 0);
    std::vector<int> gpus;
    take(selection_.pools, stage, unused, gpus);
    place->second.lead = gpus.front();
    try {
      place->second.group = tables_.group(gpus);
    } catch (const InputError&) {
      // No layout can use such a group.
    }
    return place->second;
  }

  /// A GPU of the pool other than `gpu` itself if there is one: where a hop within a pool leads.
  int hop_between(const StageGpus& from, const StageGpus& to) {
    const std::vector<int>& a = pools_[at(selection_.pools[at(from.lead)])].gpus;
    const std::vector<int>& b = pools_[at(selection_.pools[at(to.lead)])].gpus;
    const auto [place, is_new] = hops_.try_emplace({a.front(), b.front()}, std::optional<int>{});
    if (is_new) {
      try {
        place->second = tables_.hop(a.front(), a.front() == b.front() ? b.back() : b.front());
      } catch (const InputError&) {
        place->second = std::nullopt;
      }
    }
    return place->second.value_or(-2);
  }

  void give_layers(const StageGpus& stage, int begin, double running) {
    const KnownGroup known = known_group(stage);
    if (known.group < 0) return;
    const int s = static_cast<int>(partial_.stages.size());
    const bool first = s == 0, last = s + 1 == pp_;
    int hop = -1;
    if (!first) {
      hop = hop_between(partial_.gpus.back(), stage);
      if (hop == -2) return;
      partial_.stages.back().hop = hop;
    }
    int back = -1;
    if (last && pp_ > 1) {
      back = hop_between(stage, partial_.gpus.front());
      if (back == -2) return;
    }
    const int layers = tables_.layer_count(), most = layers - begin - (pp_ - 1 - s);
    keep_before(at(s));  // the hop to this stage is another
    partial_.gpus.push_back(stage);
    partial_.stages.emplace_back();
    for (int count = last ? most : 1; count <= most && !over(); ++count) {
      ++proof_.steps;
      const LayerRange range{begin, begin + count};
      partial_.stages.back() = {known.group, range, last ? back : -1};
      keep_before(at(s) + 1);
      const std::int64_t blocks = tables_.stage_blocks(known.group, range, first, last) -
                                  context().scenario.engine.reserved_kv_blocks;
      bool worse_with_more = blocks <= 0;
      if (blocks <= 0)
        settle("memory", 0, 0, [&] { return branch_words() + ": no room for KV"; });
      else
        worse_with_more =
            !visit(range, std::min(running, std::max(1.0, tables_.running_in(known.group, blocks))), last);
      if (worse_with_more) break;
    }
    partial_.gpus.pop_back();
    partial_.stages.pop_back();
  }

  /// What the first `stages` stages add up to is known still, with the hop from the last of them; more is
  /// not.
  void keep_before(std::size_t stages) {
    if (partial_.sums.size() > stages) partial_.sums.resize(stages);
  }

  /// Goes on from a partial replica, or settles it; false if more layers on its last stage are settled too.
  bool visit(LayerRange range, double running, bool last) {
    if (last) {
      leaf();
      return true;
    }
    const Bound bound = bound_of(range.end, running);
    const double total = (std::min(bound.throughput, share_) + others_) * (1 + rounding);
    if (incumbent_.settles(total, bound.token_seconds)) {
      const char* name = total >= incumbent_.same_class_from() ? "token time"
                         : bound.by_link                       ? "link"
                                                               : "roofline";
      settle(name, total, bound.token_seconds, [&] { return branch_words(); });
      return !bound.by_stage;
    }
    if (dominated(bound.throughput * (1 + rounding), bound.token_seconds)) {
      settle("dominated", total, bound.token_seconds, [&] { return branch_words(); });
      return !bound.by_stage;
    }
    extend(range.end, running);
    return true;
  }

  bool dominated(double throughput, double token_seconds) const {
    return std::any_of(front_->begin(), front_->end(), [&](const Replica& other) {
      return other.estimate.throughput >= throughput && other.estimate.token_seconds <= token_seconds;
    });
  }

  /// The slowest stage so far, the way through all stages so far, and the GPUs left for the layers left.
  Bound bound_of(int layers, double running) {
    const std::int64_t each = CostTables::largest_batch(running, pp_);
    const double batches = std::min<double>(pp_, std::max(1.0, running));
    const double host = std::min(tables_.host_seconds(1) / 1.5,
                                 tables_.host_seconds(each) / (static_cast<double>(each) + 0.5));
    std::vector<StageSums>& sums = partial_.sums;
    while (!sums.empty() && sums.back().each != each) sums.pop_back();
    if (sums.empty())
      sums.push_back({each, 0, host, std::min(tables_.host_seconds(1), tables_.host_seconds(each))});
    StageSums now = sums.back();
    for (std::size_t s = sums.size() - 1; s < partial_.stages.size(); ++s) {
      const StageChoice& stage = partial_.stages[s];
      const double own =
          tables_.parts_sum(tables_.least_seconds(stage.group, each), stage.layers, s == 0, false);
      now.slowest = std::max(now.slowest, own + (s == 0 ? host : 0));
      now.around += own + tables_.least_hop_seconds(stage.hop, false, each);
      now.pass += tables_.parts_sum(tables_.least_pass(stage.group, each), stage.layers, s == 0, false);
      if (s + 1 < partial_.stages.size()) sums.push_back(now);
    }
    double left = 0;
    for (std::size_t i = 0; i < free_.size(); ++i) left += free_[i] * pool_speeds_[at(selection_.pools[i])];
    const double share = speeds_->share({layers, tables_.layer_count()});
    const double rest = share > 0 ? left / share : infinity;
    const double stages = 1 / std::max(now.slowest, now.around / batches);
    Bound bound;
    bound.throughput = std::min(rest, stages);
    bound.token_seconds = now.pass;
    bound.by_stage = stages <= rest;
    bound.by_link = bound.by_stage && has_exchange();
    return bound;
  }

  /// Whether the GPUs placed so far exchange anything: otherwise their own speed alone bounds them.
  bool has_exchange() const { return tp_ > 1 || partial_.stages.size() > 1; }

  void leaf() {
    ++proof_.estimates;
    const ReplicaEstimate own = tables_.replica(partial_.stages, dp_);
    if (own.kv_blocks <= 0) return;
    const double total = (own.throughput + others_) * (1 + rounding);
    if (incumbent_.settles(total, own.token_seconds) || dominated(own.throughput, own.token_seconds)) return;
    std::erase_if(*front_, [&](const Replica& other) {
      return own.throughput >= other.estimate.throughput && own.token_seconds <= other.estimate.token_seconds;
    });
    front_->push_back({partial_.gpus, partial_.stages, own});
    if (dp_ > 1) return;
    // Alone it is a layout: what comes after has to beat it.
    chosen_.push_back({selection_index(), &front_->back()});
    complete();
    chosen_.pop_back();
  }

  std::size_t selection_index() const {
    Counts counts(pools_.size(), 0);
    for (std::size_t i = 0; i < selection_.pools.size(); ++i)
      counts[at(selection_.pools[i])] = selection_.counts[i];
    return static_cast<std::size_t>(std::find(selections_.begin(), selections_.end(), counts) -
                                    selections_.begin());
  }

  CostTables& tables_;
  const SearchOptions& options_;
  Incumbent incumbent_;
  std::optional<EstimatedLayout>& best_;
  SearchProof& proof_;
  std::vector<GpuPool> pools_;
  std::vector<int> degrees_;
  std::vector<Counts> selections_;
  bool too_many_ = false;

  // For one number of replicas.
  int dp_ = 1;
  double share_ = 0;  // of the demand: tokens/s of one replica
  const GpuSpeeds* speeds_ = nullptr;
  std::vector<double> pool_speeds_;
  std::map<std::vector<std::vector<int>>, std::vector<Replica>> fronts_;
  Counts left_;
  std::vector<std::pair<std::size_t, const Replica*>> chosen_;

  // For one selection of GPUs.
  Selection selection_;
  std::vector<Replica>* front_ = nullptr;
  double others_ = 0;  // what the other replicas can yield at most
  std::map<std::pair<Counts, int>, KnownGroup> groups_;
  std::map<std::pair<int, int>, std::optional<int>> hops_;
  int tp_ = 1, pp_ = 1;
  Counts free_;
  /// What bounds the first stages, at batches of at most `each`.
  struct StageSums {
    std::int64_t each = 0;
    double slowest = 0, around = 0, pass = 0;
  };
  struct Partial {
    std::vector<StageGpus> gpus;
    std::vector<StageChoice> stages;
    std::vector<StageSums> sums;  ///< of the first 0, 1, .. stages, each with the hop behind it
  } partial_;
};

}  // namespace

void branch_and_bound(CostTables& tables, const SearchOptions& options, std::optional<EstimatedLayout>& best,
                      SearchProof& proof) {
  Search(tables, options, best, proof).run();
}

}  // namespace sextant
