#include "sim/planner/cost_tables.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "sim/planner/plan.hpp"
#include "tests/sim/planner/random_cluster.hpp"

namespace sextant {
namespace {

/// Mean of the largest of so many Poisson numbers of one mean, each cut off at `most`; at least that mean.
double mean_largest(double mean, double count, double most) {
  if (mean <= 0) return 0;
  double at_most = 0, sum = 0;
  for (int n = 0; n < mean + 20 * std::sqrt(mean) + 20 && n < most; ++n) {
    at_most += std::exp(n * std::log(mean) - mean - std::lgamma(n + 1.0));
    sum += std::min(1.0, most - n) * (1 - std::pow(std::min(1.0, at_most), count));
  }
  return std::max(mean, sum);
}

/// A closed loop's estimate as its definition says it, from the replica's own model.
double plain_throughput(const SearchContext& context, const Layout& layout) {
  const WorkloadSummary& load = context.workload;
  double sum = 0, least = std::numeric_limits<double>::infinity();
  for (const auto& replica : layout.replicas) {
    const Scenario& s = context.scenario;
    const ReplicaModel model(s.model, context.machine, replica, layout.cut(replica));
    const std::int64_t blocks = kv_blocks(
        replica_memory(s.model, s.engine, context.machine.engine(), s.cluster, replica, layout.cut(replica)),
        s.engine);
    double running =
        std::min({static_cast<double>(blocks * s.engine.block_size) / (load.prompt + load.output),
                  static_cast<double>(s.engine.max_num_seqs), load.concurrency / layout.dp});
    running = std::max(running, 1.0);
    const double batches = std::min<double>(model.stages(), running);
    PassShape decode;
    decode.decodes = decode.samples = std::max<std::int64_t>(1, std::llround(running / batches));
    decode.decode_context_sum = std::llround(static_cast<double>(decode.decodes) * load.context());
    const PrefillChunk chunk{
        std::min<std::int64_t>(std::llround(load.prompt), s.engine.max_num_batched_tokens), 0};
    PassShape prefill;
    prefill.chunks = {&chunk, 1};
    prefill.samples = 1;
    const double prompts = running / load.output * load.prompt / static_cast<double>(chunk.new_tokens);
    const double host = model.host(decode.decodes).seconds();
    const double budget = static_cast<double>(s.engine.max_num_batched_tokens - decode.decodes);
    const double most = std::max(1.0, budget / static_cast<double>(chunk.new_tokens));
    const double in_fullest = batches > 1 ? mean_largest(prompts / batches, batches, most) : prompts;
    double slowest = 0, around = host;
    for (int stage = 0; stage < model.stages(); ++stage) {
      const double d = model.pass(stage, decode).total.seconds();
      const double p = model.pass(stage, prefill).total.seconds();
      slowest = std::max(slowest, batches * (d + (stage == 0 ? host : 0)) + prompts * p);
      around += d + in_fullest * p + model.hop(stage, decode.decodes).seconds();
    }
    const double rate = running / std::max(slowest, around);
    sum += rate;
    least = std::min(least, rate);
  }
  // In turns the slowest replica's rate is everybody's.
  const bool in_turns = context.scenario.router.policy == RouterOptions::Policy::round_robin;
  const double all = in_turns ? least * static_cast<double>(layout.replicas.size()) : sum;
  return all * std::min(1.0, load.concurrency / layout.dp);
}

// Sums of parts against whole stages of operators; the model rounds each pass to a nanosecond.
TEST(CostTables, GiveWhatTheReplicasModelGives) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  int compared = 0;
  for (unsigned seed = 0; seed < 30; ++seed) {
    const RandomScenario random(seed, 5, 40);
    const Scenario& s = random.scenario();
    SCOPED_TRACE(random.description());
    const Machine machine(s.cluster, s.engine.profile);
    const SearchContext context{s, machine, summarise_workload(s.workload)};
    if (context.workload.concurrency <= 0) continue;
    SearchOptions options;
    options.most_steps = 100;
    const SearchResult found = search_layouts(context, options);
    for (std::size_t i = 0; i < found.layouts.size(); i += 1 + found.layouts.size() / 20) {
      const EstimatedLayout& one = found.layouts[i];
      if (one.layout.shares_experts()) continue;  // their estimate asks the replicas' model itself
      EXPECT_NEAR(one.output_throughput / plain_throughput(context, one.layout), 1, 1e-4)
          << one.layout.describe();
      ++compared;
    }
  }
  EXPECT_GT(compared, 100);
}

// Three stages of 42 layers of a 405B model, 96 requests at once with prompts of 512 tokens and 256 tokens of
// output: a round of three batches of 32 brings 96 / 256 = 0.38 prompts. A prompt's chunk takes a stage some
// six times what a decode pass takes, and while it goes through three stages nobody overtakes it: such a
// round lasts three chunks, not one. Without that the estimate is 1.6 times the simulation.
TEST(CostTables, ABusyPipelineWaitsForItsFullestBatch) {
  const Scenario s = read_scenario(JsonValue::parse(R"({"name": "t", "cluster": {
      "nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200"},
                {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}]},
    "model": {"name": "llama-3.1-405b", "weights": "awq-int4"}, "deployment": {"tp": 1, "pp": 3},
    "engine": {"max_num_seqs": 96, "max_num_batched_tokens": 2048, "max_model_len": 16384},
    "workload": {"max_concurrency": 96, "num_prompts": 300, "prompt": {"fixed": 512}, "output": {"uniform": {"min": 128, "max": 384}}}})",
                                                    "t.json"));
  PlanOptions options;
  options.intervals = false;
  const Candidate run = make_plan(s, options).candidates.front();
  EXPECT_NEAR(run.estimate / run.metrics.output_throughput, 1, 0.15);
}

}  // namespace
}  // namespace sextant
