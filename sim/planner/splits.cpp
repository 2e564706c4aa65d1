#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/search.hpp"

namespace sextant {
namespace {

/// A stage's work and memory as straight lines in its number of layers.
struct StageLine {
  double work_fixed = 0, work_per_layer = 0;  // seconds of this stage per request
  double room = 0, bytes_per_layer = 0;       // bytes: left with no layer; taken by each
  double kv_per_layer = 0;                    // bytes a cached token takes in one layer

  double work(int layers) const { return work_fixed + layers * work_per_layer; }
  double kv_tokens(int layers) const {
    const double left = room - layers * bytes_per_layer;
    if (left <= 0) return 0;
    return kv_per_layer > 0 ? left / (layers * kv_per_layer) : std::numeric_limits<double>::infinity();
  }
};

/// Seconds that one mean request costs a stage of `shape` on `device`: its prompt, and its share of decode
/// passes.
double request_work(const SearchContext& context, const StageShape& shape, int device,
                    const LinkProfile* link) {
  const ServedModel& model = context.scenario.model;
  const StageCost cost(stage_operators(model.architecture, model.weights, model.kv, shape),
                       context.machine.profile(device), link, static_cast<int>(shape.tensor_parallel));
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

std::vector<StageLine> stage_lines(const SearchContext& context, const std::vector<GpuGroup>& pipeline,
                                   int tp) {
  const Scenario& scenario = context.scenario;
  const int layers = scenario.model.architecture.layer_count();
  std::vector<StageLine> lines;
  for (std::size_t s = 0; s < pipeline.size(); ++s) {
    const bool first = s == 0, last = s + 1 == pipeline.size();
    const GpuGroup& group = pipeline[s];
    const LinkProfile joined = tp > 1 ? context.machine.group_link(group.gpus) : LinkProfile{};
    const LinkProfile* link = tp > 1 ? &joined : nullptr;
    StageLine line;
    for (const int device : group.gpus) {
      const double inner = request_work(context, {{0, layers}, tp, false, false}, device, link);
      const double whole = request_work(context, {{0, layers}, tp, first, last}, device, link);
      if (inner / layers > line.work_per_layer) line = {whole - inner, inner / layers, 0, 0, 0};
    }
    std::vector<StagePlacement> one(pipeline.size(), {{0, 0}, group.gpus});
    const StageMemory empty = replica_memory(scenario.model, scenario.engine, context.machine.engine(),
                                             scenario.cluster, one, tp)[s];
    one[s].layers = {0, layers};
    const StageMemory full = replica_memory(scenario.model, scenario.engine, context.machine.engine(),
                                            scenario.cluster, one, tp)[s];
    line.room = empty.budget.for_kv();
    line.bytes_per_layer = (empty.budget.for_kv() - full.budget.for_kv()) / layers;
    line.kv_per_layer = full.budget.kv_bytes_per_token / layers;
    lines.push_back(line);
  }
  return lines;
}

/// The split that minimises the largest value of `load(stage, layers)`, giving layers one by one to the stage
/// that stays least loaded; exact where load grows with layers.
template <class Load>
std::vector<int> balance(std::size_t stages, int layers, const Load& load) {
  std::vector<int> counts(stages, 1);
  for (int given = static_cast<int>(stages); given < layers; ++given) {
    std::size_t best = 0;
    for (std::size_t s = 1; s < stages; ++s)
      if (load(s, counts[s] + 1) < load(best, counts[best] + 1)) best = s;
    ++counts[best];
  }
  return counts;
}

struct Score {
  std::vector<int> counts;
  double work = 0;    // of the slowest stage: less is better
  double tokens = 0;  // of the tightest stage: more is better
};

Score score(const std::vector<StageLine>& lines, const std::vector<int>& counts) {
  Score result{counts, 0, std::numeric_limits<double>::infinity()};
  for (std::size_t s = 0; s < lines.size(); ++s) {
    result.work = std::max(result.work, lines[s].work(counts[s]));
    result.tokens = std::min(result.tokens, lines[s].kv_tokens(counts[s]));
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

}  // namespace

double group_seconds(const SearchContext& context, const GpuGroup& group, int tp) {
  const int layers = context.scenario.model.architecture.layer_count();
  try {
    const LinkProfile link = tp > 1 ? context.machine.group_link(group.gpus) : LinkProfile{};
    double slowest = 0;
    for (const int device : group.gpus)
      slowest = std::max(
          slowest, request_work(context, {{0, layers}, tp, true, true}, device, tp > 1 ? &link : nullptr));
    return slowest;
  } catch (const InputError&) {
    return std::numeric_limits<double>::infinity();
  }
}

std::vector<std::vector<int>> splits_worth_trying(const SearchContext& context,
                                                  const std::vector<GpuGroup>& pipeline, int tp) {
  const int layers = context.scenario.model.architecture.layer_count();
  const std::size_t stages = pipeline.size();
  if (stages == 1) return {{layers}};
  const std::vector<StageLine> lines = stage_lines(context, pipeline, tp);
  const std::vector<int> even = even_split(layers, static_cast<int>(stages));
  // A stage over its memory is worse than any stage that is slow.
  constexpr double over_memory = 1e12;
  const std::vector<int> by_work = balance(stages, layers, [&](std::size_t s, int n) {
    return lines[s].kv_tokens(n) > 0 ? lines[s].work(n) : over_memory * n;
  });
  const std::vector<int> by_kv = balance(stages, layers, [&](std::size_t s, int n) {
    return lines[s].kv_tokens(n) > 0 ? 1 / lines[s].kv_tokens(n) : over_memory * n;
  });
  std::set<std::vector<int>> all = {even, by_work, by_kv};
  add_neighbours(all, by_work, stages <= 4 ? 2 : 1);

  std::vector<Score> scores;
  for (const std::vector<int>& counts : all) scores.push_back(score(lines, counts));
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
