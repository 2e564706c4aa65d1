#include "sim/planner/splits.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>
#include <tuple>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// A stage's work and memory, whichever consecutive layers it gets: sums over the layers before each one.
struct StageLoad {
  double work_fixed = 0;  // seconds of this stage per request that no layer causes: embedding, head
  double room = 0;        // bytes left with no layer
  std::vector<double> work{0.0}, bytes{0.0},
      kv{0.0};  // of the layers before: seconds, bytes taken, bytes a cached token

  double seconds(LayerRange layers) const { return work_fixed + sum(work, layers); }
  double kv_tokens(LayerRange layers) const {
    const double left = room - sum(bytes, layers), each = sum(kv, layers);
    if (left <= 0) return 0;
    return each > 0 ? left / each : std::numeric_limits<double>::infinity();
  }
  static double sum(const std::vector<double>& before, LayerRange layers) {
    return before[static_cast<std::size_t>(layers.end)] - before[static_cast<std::size_t>(layers.begin)];
  }
};

/// Seconds that one mean request costs a stage of `shape` on `device`: its prompt, and its share of decode
/// passes.
double request_work(const SearchContext& context, const StageShape& shape, int device,
                    const LinkProfile* link) {
  const ServedModel& model = context.scenario.model;
  const StageCost cost(stage_operators(model.architecture, model.weights, model.kv, shape),
                       context.machine.profile(device), link, static_cast<int>(shape.tensor_parallel),
                       CostLevel{},
                       sampler_work(model, context.machine.engine(), context.scenario.cluster.gpu(device)));
  const auto batch = static_cast<std::int64_t>(std::clamp(context.workload.concurrency / 2, 1.0, 64.0));
  const auto prompt = std::max<std::int64_t>(1, std::llround(context.workload.prompt));
  const PrefillChunk chunk{std::min(prompt, context.scenario.engine.max_num_batched_tokens), 0};
  PassShape prefill;
  prefill.chunks = {&chunk, 1};
  prefill.samples = 1;
  PassShape decode;
  decode.decodes = decode.samples = batch;
  decode.decode_context_sum = std::llround(static_cast<double>(batch) * context.workload.context());
  const double chunks = static_cast<double>(prompt) / static_cast<double>(chunk.new_tokens);
  return chunks * cost.cost(prefill).total() +
         context.workload.output * cost.cost(decode).total() / static_cast<double>(batch);
}

/// The first layer of each kind.
std::vector<int> examples_of_kinds(const Architecture& architecture) {
  std::vector<int> examples(architecture.kinds.size(), -1);
  for (int i = architecture.layer_count() - 1; i >= 0; --i)
    examples[static_cast<std::size_t>(architecture.layers[static_cast<std::size_t>(i)])] = i;
  return examples;
}

/// Seconds of each kind of layer on a GPU, and of all that is no layer.
std::pair<std::vector<double>, double> kind_seconds(const SearchContext& context, const StageShape& whole,
                                                    int device, const LinkProfile* link) {
  const Architecture& architecture = context.scenario.model.architecture;
  std::vector<double> kinds;
  for (const int i : examples_of_kinds(architecture))
    kinds.push_back(request_work(
        context, {{i, i + 1}, whole.tensor_parallel, false, false, whole.expert_parallel}, device, link));
  double layers = 0;
  for (const int kind : architecture.layers) layers += kinds[static_cast<std::size_t>(kind)];
  return {kinds, request_work(context, whole, device, link) - layers};
}

/// What comes with the layers alone.
double layer_bytes(const StageWeights& weights) {
  return weights.layers + weights.norms + weights.copies;
}

StageLoad stage_load(const SearchContext& context, const GpuGroup& group, bool first, bool last,
                     LayerCut cut) {
  const std::int64_t tp = cut.tensor_parallel, ep = cut.expert_parallel;
  const Scenario& scenario = context.scenario;
  const Architecture& architecture = scenario.model.architecture;
  const int layers = architecture.layer_count();
  const LinkProfile joined = tp > 1 ? context.machine.group_link(group.gpus) : LinkProfile{};
  const StageShape whole{{0, layers}, tp, first, last, ep};
  StageLoad load;
  std::vector<double> seconds;
  double slowest = -1;
  for (const int device : group.gpus) {
    auto [kinds, fixed] = kind_seconds(context, whole, device, tp > 1 ? &joined : nullptr);
    double sum = 0;
    for (const int kind : architecture.layers) sum += kinds[static_cast<std::size_t>(kind)];
    if (sum <= slowest) continue;
    slowest = sum;
    seconds = std::move(kinds);
    load.work_fixed = fixed;
  }
  // With a neighbour on either side that it has.
  const std::size_t s = first ? 0 : 1;
  std::vector<StagePlacement> one(s + (last ? 1 : 2), {{0, 0}, group.gpus});
  one[s].layers = {0, layers};
  const StageMemory full = replica_memory(scenario.model, scenario.engine, context.machine.engine(),
                                          scenario.cluster, one, cut)[s];
  for (int i = 0; i < layers; ++i) {
    const StageShape layer{{i, i + 1}, tp, false, false, ep};
    const double state = sequence_cache(architecture, scenario.model.kv, layer).state *
                         static_cast<double>(scenario.engine.max_num_seqs);
    const auto kind = static_cast<std::size_t>(architecture.layers[static_cast<std::size_t>(i)]);
    load.work.push_back(load.work.back() + seconds[kind]);
    load.bytes.push_back(load.bytes.back() + state +
                         layer_bytes(stage_weights(architecture, scenario.model.weights, layer)));
    load.kv.push_back(load.kv.back() + kv_bytes_per_token(architecture, scenario.model.kv, layer));
  }
  load.room = full.budget.for_kv() + load.bytes.back();
  return load;
}

/// Layers given one by one to the stage that stays least loaded: exact where all layers are alike.
template <class Load>
std::vector<int> balance_alike(std::size_t stages, int layers, const Load& load) {
  std::vector<int> counts(stages, 1);
  for (int given = static_cast<int>(stages); given < layers; ++given) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < stages; ++s)
      if (load(s, {0, counts[s] + 1}) < load(best, {0, counts[best] + 1})) best = s;
    ++counts[best];
  }
  return counts;
}

/// The consecutive split with the smallest largest load, and among those the smallest sum of squares.
template <class Load>
std::vector<int> balance_unlike(std::size_t stages, int layers, const Load& load) {
  struct Best {
    double largest = std::numeric_limits<double>::infinity(), squares = 0;
    int begin = 0;
  };
  const auto count = static_cast<int>(stages);
  std::vector<std::vector<Best>> best(stages, std::vector<Best>(static_cast<std::size_t>(layers) + 1));
  for (int s = 0; s < count; ++s) {
    auto& row = best[static_cast<std::size_t>(s)];
    for (int end = s + 1; end <= layers - (count - 1 - s); ++end) {
      Best& here = row[static_cast<std::size_t>(end)];
      for (int begin = s; begin < (s == 0 ? 1 : end); ++begin) {
        const Best before =
            s == 0 ? Best{0, 0, 0} : best[static_cast<std::size_t>(s - 1)][static_cast<std::size_t>(begin)];
        const double own = load(static_cast<std::size_t>(s), {begin, end});
        const double largest = std::max(before.largest, own), squares = before.squares + own * own;
        if (largest < here.largest || (largest == here.largest && squares < here.squares))
          here = {largest, squares, begin};
      }
    }
  }
  std::vector<int> counts(stages);
  for (int s = count - 1, end = layers; s >= 0; --s) {
    const int begin = best[static_cast<std::size_t>(s)][static_cast<std::size_t>(end)].begin;
    counts[static_cast<std::size_t>(s)] = end - begin;
    end = begin;
  }
  return counts;
}

/// The split that minimises the largest value of `load(stage, layers)`.
template <class Load>
std::vector<int> balance(const Architecture& architecture, std::size_t stages, const Load& load) {
  return architecture.kinds.size() == 1 ? balance_alike(stages, architecture.layer_count(), load)
                                        : balance_unlike(stages, architecture.layer_count(), load);
}

struct Score {
  std::vector<int> counts;
  double work = 0;    // of the slowest stage: less is better
  double tokens = 0;  // of the tightest stage: more is better
};

Score score(const std::vector<StageLoad>& loads, const std::vector<int>& counts) {
  Score result{counts, 0, std::numeric_limits<double>::infinity()};
  const std::vector<LayerRange> layers = ranges(counts);
  for (std::size_t s = 0; s < loads.size(); ++s) {
    result.work = std::max(result.work, loads[s].seconds(layers[s]));
    result.tokens = std::min(result.tokens, loads[s].kv_tokens(layers[s]));
  }
  return result;
}

/// `counts` with up to `reach` layers moved between stages, every way (few stages) or between neighbours
/// (many).
void add_neighbours(std::set<std::vector<int>>& all, const std::vector<int>& counts, int reach) {
  const bool few = counts.size() <= 4;
  for (int round = 0; round < reach; ++round) {
    const std::set<std::vector<int>> before = all;
    const std::set<std::vector<int>> seeds = few ? before : std::set<std::vector<int>>{counts};
    for (std::vector<int> seed : seeds) {
      for (std::size_t from = 0; from < seed.size(); ++from) {
        for (std::size_t to = 0; to < seed.size(); ++to) {
          if (from == to || seed[from] <= 1) continue;
          --seed[from];
          ++seed[to];
          all.insert(seed);
          ++seed[from];
          --seed[to];
        }
      }
    }
  }
}

/// Splits on the way from one to another, closer to each other at its beginning: where balance by work leaves
/// too little room for KV and balance by KV is slow, the best lies between.
void add_between(std::set<std::vector<int>>& all, const std::vector<int>& from, const std::vector<int>& to) {
  for (const double share : {1.0 / 16, 1.0 / 8, 3.0 / 16, 1.0 / 4, 3.0 / 8, 1.0 / 2, 3.0 / 4}) {
    std::vector<int> counts = from;
    int moved = 0;
    for (std::size_t s = 0; s + 1 < counts.size(); ++s) {
      const int change = static_cast<int>(std::lround(share * (to[s] - from[s])));
      counts[s] += change;
      moved += change;
    }
    counts.back() -= moved;
    if (*std::min_element(counts.begin(), counts.end()) >= 1) all.insert(counts);
  }
}

}  // namespace

double group_seconds(const SearchContext& context, const GpuGroup& group, LayerCut cut) {
  const int layers = context.scenario.model.architecture.layer_count();
  const std::int64_t tp = cut.tensor_parallel;
  try {
    const LinkProfile link = tp > 1 ? context.machine.group_link(group.gpus) : LinkProfile{};
    double slowest = 0;
    for (const int device : group.gpus)
      slowest = std::max(slowest, request_work(context, {{0, layers}, tp, true, true, cut.expert_parallel},
                                               device, tp > 1 ? &link : nullptr));
    return slowest;
  } catch (const InputError&) {
    return std::numeric_limits<double>::infinity();
  }
}

struct SplitFinder::Loads {
  std::map<std::tuple<int, bool, bool>, StageLoad> known;  // by sort of group, first, last
};

SplitFinder::SplitFinder(CostTables& tables) : tables_(tables), loads_(std::make_unique<Loads>()) {}
SplitFinder::~SplitFinder() = default;

std::vector<std::vector<int>> splits_worth_trying(const SearchContext& context,
                                                  const std::vector<GpuGroup>& pipeline, LayerCut cut) {
  CostTables tables(context, cut.expert_parallel > 1);
  return SplitFinder(tables).worth_trying(pipeline, static_cast<int>(cut.tensor_parallel));
}

std::vector<std::vector<int>> SplitFinder::worth_trying(const std::vector<GpuGroup>& pipeline, int tp) {
  const SearchContext& context = tables_.context();
  const int layers = context.scenario.model.architecture.layer_count();
  const std::size_t stages = pipeline.size();
  if (stages == 1) return {{layers}};
  std::vector<StageLoad> loads;
  for (std::size_t s = 0; s < stages; ++s) {
    const bool first = s == 0, last = s + 1 == stages;
    const auto [place, is_new] = loads_->known.try_emplace({tables_.group(pipeline[s].gpus), first, last});
    if (is_new) place->second = stage_load(context, pipeline[s], first, last, tables_.cut(tp));
    loads.push_back(place->second);
  }
  const std::vector<int> even = even_split(layers, static_cast<int>(stages));
  // A stage over its memory is worse than any stage that is slow.
  constexpr double over_memory = 1e12;
  const Architecture& architecture = context.scenario.model.architecture;
  const std::vector<int> by_work = balance(architecture, stages, [&](std::size_t s, LayerRange range) {
    return loads[s].kv_tokens(range) > 0 ? loads[s].seconds(range) : over_memory * range.size();
  });
  const std::vector<int> by_kv = balance(architecture, stages, [&](std::size_t s, LayerRange range) {
    return loads[s].kv_tokens(range) > 0 ? 1 / loads[s].kv_tokens(range) : over_memory * range.size();
  });
  std::set<std::vector<int>> all = {even, by_work, by_kv};
  add_neighbours(all, by_work, stages <= 4 ? 2 : 1);
  add_between(all, by_work, by_kv);

  std::vector<Score> scores;
  for (const std::vector<int>& counts : all) scores.push_back(score(loads, counts));
  std::sort(scores.begin(), scores.end(), [](const Score& a, const Score& b) {
    return a.work != b.work ? a.work < b.work : a.tokens > b.tokens;
  });
  std::vector<std::vector<int>> worth;
  double best_tokens = 0;
  for (const Score& s : scores) {
    const bool on_front = s.tokens > best_tokens;
    if (s.tokens > 0 && (on_front || s.counts == even)) worth.push_back(s.counts);
    best_tokens = std::max(best_tokens, s.tokens);
  }
  // Where nothing fits, the split that comes nearest still shows by how much.
  if (worth.empty()) worth.push_back(by_kv);
  return worth;
}

}  // namespace sextant
