#include "sim/planner/shared_experts.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/llm/operators.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/shared_experts_search.hpp"

namespace sextant {
namespace {

Scenario scenario(const std::string& deployment, const std::string& model = "qwen3-30b-a3b",
                  const std::string& more = "") {
  unsetenv("SEXTANT_PROFILES");
  return read_scenario(JsonValue::parse(
      R"({"name": "ranks", "cluster": {"nodes": [{"node": "hgx", "name": "a", "gpus": {"h200-sxm": 8}}]},
          "model": {"name": ")" +
          model + R"("}, "deployment": )" + deployment + more + R"(, "engine": {"max_model_len": 8192},
          "workload": {"max_concurrency": 64, "num_prompts": 128, "prompt": {"fixed": 500}, "output": {"fixed": 40},
                       "seed": 1}})",
      "test.json"));
}

constexpr auto eight_ranks = R"({"tp": 1, "dp": 8, "ep": 8})";

std::string message(const std::string& deployment, const std::string& more = "") {
  try {
    const Scenario s = scenario(deployment, "qwen3-30b-a3b", more);
    fixed_layout(s, *s.deployment);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

PassShape decodes(std::int64_t batch) {
  PassShape shape;
  shape.decodes = shape.samples = batch;
  shape.decode_context_sum = batch * 1000;
  return shape;
}

TEST(SharedExperts, AreReadAndLaidOut) {
  const Scenario s = scenario(eight_ranks);
  const Layout layout = fixed_layout(s, *s.deployment);
  EXPECT_EQ(layout.describe(), "tp 1 x pp 1 x dp 8, ep 8");
  EXPECT_TRUE(layout.shares_experts());
  EXPECT_EQ(layout.sharing_ranks(), 8);
  EXPECT_EQ(layout.replicas[3].front().expert_gpus.size(), 8u);
  EXPECT_EQ(layout.cut(layout.replicas[3]).expert_parallel, 8);
  // Two servers of two ranks on two GPUs each.
  const Scenario two = scenario(R"({"tp": 2, "dp": 4, "ep": 4})");
  const Layout servers = fixed_layout(two, *two.deployment);
  EXPECT_EQ(servers.sharing_ranks(), 2);
  EXPECT_EQ(servers.replicas[1].front().expert_gpus, servers.replicas[0].front().expert_gpus);
  EXPECT_NE(servers.replicas[2].front().expert_gpus, servers.replicas[1].front().expert_gpus);
  // Experts divided within each of two groups: nothing is shared, as ever.
  const Scenario within = scenario(R"({"tp": 4, "dp": 2, "ep": 4})");
  EXPECT_FALSE(fixed_layout(within, *within.deployment).shares_experts());
}

TEST(SharedExperts, WhatIsNotSimulatedIsRefusedByName) {
  EXPECT_EQ(
      message(R"({"tp": 2, "dp": 2, "ep": 3})"),
      "test.json: deployment.ep: found 3, expected 1, tp, which is 2, or (experts shared by data-parallel "
      "attention) a multiple of tp that divides tp x dp, which is 4");
  EXPECT_EQ(
      message(R"({"tp": 1, "pp": 2, "dp": 4, "ep": 4})"),
      "test.json: deployment.ep: found 4 with pp 2, expected pp 1 where data-parallel ranks share experts");
  EXPECT_EQ(
      message(R"({"prefill": {"dp": 4, "ep": 4}, "decode": {"tp": 4}})"),
      "test.json: deployment: found ep above tp where prefill and decode are apart, expected experts shared "
      "by data-parallel ranks in one pool only");
  EXPECT_EQ(message(eight_ranks, R"(, "faults": [{"at_s": 1, "what": "gpu-lost", "where": "a/gpu0"}])"),
            "test.json: faults: found faults where data-parallel ranks share experts (ep 8), expected none");
  EXPECT_EQ(message(R"({"tp": 1, "dp": 8, "ep": 8, "enable_expert_parallel": false})"),
            "test.json: deployment.enable_expert_parallel: found false, expected what ep 8 says");
  EXPECT_EQ(message(R"({"tp": 1, "dp": 8, "ep": 8, "enable_expert_parallel": true})"), "no error");
}

// Qwen3 30B-A3B, 48 layers. Attention whole: (32 + 4 + 4) x 128 x 2048 + 2048 x 4096 = 18,874,368 weights of
// 2 B; router 128 x 2048; experts 128 / 8 x 3 x 2048 x 768 = 75,497,472. Of a token cached, 48 layers x 2 x
// 4 heads x 128 x 2 B = 98,304 B, on one GPU of eight: tp 8, with a head each, keeps 24,576 B on all of them.
TEST(SharedExperts, MemoryByHand) {
  const Scenario s = scenario(eight_ranks);
  const Layout layout = fixed_layout(s, *s.deployment);
  const Machine machine(s.cluster, s.engine.profile);
  const auto& rank = layout.replicas.front();
  const StageMemory memory =
      replica_memory(s.model, s.engine, machine.engine(), s.cluster, rank, layout.cut(rank)).front();
  EXPECT_EQ(memory.weights.layers, 48 * (18874368.0 + 128 * 2048 + 75497472) * 2);
  EXPECT_EQ(memory.budget.kv_bytes_per_token, 98304);
  const StageShape tp_8{{0, 48}, 8, true, true};
  EXPECT_EQ(kv_bytes_per_token(s.model.architecture, s.model.kv, tp_8), 24576);
}

// Of 64 requests each rank reads the keys and values of 8, at 98,304 B a token: half of what each GPU of tp 8
// reads of all 64 at 24,576. A layer has one all-gather and one reduce-scatter and no all-reduce.
TEST(SharedExperts, OperatorsByHand) {
  const Scenario s = scenario(eight_ranks);
  const StageShape tp_8{{0, 48}, 8, true, true}, rank{{0, 48}, 1, true, true, 8};
  const double shared = 8 * kv_bytes_per_token(s.model.architecture, s.model.kv, rank);
  const double cut = 64 * kv_bytes_per_token(s.model.architecture, s.model.kv, tp_8);
  EXPECT_EQ(cut, 2 * shared);
  const StageOperators operators = stage_operators(s.model.architecture, s.model.weights, s.model.kv, rank);
  ASSERT_EQ(operators.collectives.size(), 2u);
  EXPECT_EQ(operators.collectives[0].shape.op, "all_gather");
  EXPECT_EQ(operators.collectives[1].shape.op, "reduce_scatter");
  for (const auto& [shape, count] : operators.collectives) {
    EXPECT_EQ(count, 48) << shape.op;
    EXPECT_EQ(shape.ranks, 8) << shape.op;
  }
  EXPECT_TRUE(operators.sample_collectives.empty());
}

TEST(SharedExperts, ARankThatIdlesIsPaddedLikeTheOthers) {
  const Scenario s = scenario(eight_ranks);
  const Layout layout = fixed_layout(s, *s.deployment);
  const Machine machine(s.cluster, "vllm-0.19");
  const auto& rank = layout.replicas.front();
  const ReplicaModel model(s.model, machine, rank, layout.cut(rank));
  const std::vector<PassShape> even(8, decodes(16));
  const Time all = model.pass_together(even).total;
  EXPECT_EQ(all, model.pass(0, decodes(16)).total);
  std::vector<PassShape> one(8);
  one[3] = decodes(16);
  EXPECT_EQ(model.pass_together(one).total, all);
  // Beyond the captured graphs nothing is padded: the experts have 8,192 + 7 tokens, not 65,536.
  const PrefillChunk chunk{8192, 0};
  PassShape prompt;
  prompt.chunks = {&chunk, 1};
  prompt.samples = 1;
  std::vector<PassShape> lone(8);
  lone[0] = prompt;
  const double alone = model.pass_together(lone).total.seconds();
  const double together = model.pass_together(std::vector<PassShape>(8, prompt)).total.seconds();
  EXPECT_GT(together, 1.5 * alone);
  EXPECT_LT(together, 8 * alone);
}

TEST(SharedExperts, APlanServesAllAndTellsItsLayout) {
  PlanOptions options;
  options.intervals = false;
  const Plan plan = make_plan(scenario(eight_ranks), options);
  const Candidate& c = plan.candidates.front();
  EXPECT_EQ(c.metrics.finished, 128);
  EXPECT_EQ(c.metrics.arrived, c.metrics.finished + c.metrics.rejected + c.metrics.in_flight);
  EXPECT_EQ(c.layout.ep, 8);
  EXPECT_GT(c.estimate, 0);
  // The estimate knows no waves: here all prompts of 64 clients come at once, and again, so that eight ranks
  // compute theirs in one pass; the estimate spreads them over the rounds, where each holds up all ranks.
  EXPECT_GT(c.estimate / c.metrics.output_throughput, 1 / 3.0);
  EXPECT_LT(c.estimate / c.metrics.output_throughput, 2);
  options.step_by_step = true;
  const Plan slow = make_plan(scenario(eight_ranks), options);
  EXPECT_EQ(slow.candidates.front().metrics.fingerprint, c.metrics.fingerprint);
  EXPECT_EQ(slow.candidates.front().metrics.output_throughput, c.metrics.output_throughput);
}

// DeepSeek V3's latent vectors are cached whole on every GPU of a group: eight ranks of one GPU hold eight
// times the tokens that a group's GPU would.
TEST(SharedExperts, LatentAttentionIsCachedOnce) {
  const Scenario s = scenario(eight_ranks, "deepseek-v3");
  const Layout layout = fixed_layout(s, *s.deployment);
  const StageShape rank{{0, 61}, 1, true, true, 8}, group{{0, 61}, 8, true, true, 8};
  const double each = kv_bytes_per_token(s.model.architecture, s.model.kv, rank);
  EXPECT_EQ(each, 61.0 * (512 + 64) * 2);
  EXPECT_EQ(each, kv_bytes_per_token(s.model.architecture, s.model.kv, group));
  EXPECT_EQ(layout.cut(layout.replicas[0]).sharing_ranks(), 8);
}

TEST(SharedExperts, GpusMustBeEqual) {
  const Scenario s = read_scenario(JsonValue::parse(
      R"({"name": "mixed", "cluster": {"nodes": [{"node": "hgx", "name": "a",
            "gpus": {"h200-sxm": 1, "h100-sxm": 1}}]},
          "model": {"name": "qwen3-30b-a3b"}, "deployment": {"dp": 2, "ep": 2},
          "workload": {"max_concurrency": 1, "num_prompts": 1, "prompt": {"fixed": 5}, "output": {"fixed": 4}}})",
      "test.json"));
  try {
    fixed_layout(s, *s.deployment);
    FAIL() << "unequal GPUs share experts";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("expected equal GPUs"), std::string::npos) << error.what();
  }
}

struct Asked {
  Scenario scenario;
  Machine machine;
  SearchContext context;
  explicit Asked(Scenario s)
      : scenario(std::move(s)),
        machine(scenario.cluster, scenario.engine.profile),
        context{scenario, machine, summarise_workload(scenario.workload)} {}
  Asked(const Asked&) = delete;
};

// 128 experts: ep may be 2, 4 and 8 on eight GPUs, with tp 1 to ep / 2; servers of two GPUs come one to four
// times, of four once or twice.
TEST(SharedExperts, TheSearchHasEveryNumberOfServers) {
  const Asked asked(scenario(R"("search")"));
  std::vector<std::string> names;
  for (const EstimatedLayout& found : search_shared_experts(asked.context).layouts) {
    names.push_back(found.layout.describe());
    EXPECT_NEAR(estimate(asked.context, found.layout).output_throughput / found.output_throughput, 1, 1e-9)
        << names.back();
    EXPECT_EQ(found.layout.replicas.size(), static_cast<std::size_t>(found.layout.dp));
  }
  std::sort(names.begin(), names.end());
  std::vector<std::string> expected;
  for (const int ep : {2, 4, 8})
    for (int tp = 1; tp < ep; tp *= 2)
      for (int servers = 1; servers * ep <= 8; ++servers)
        expected.push_back(fmt::format("tp {} x pp 1 x dp {}, ep {}", tp, servers * ep / tp, ep));
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(names, expected);
}

TEST(SharedExperts, WhatIsNotSimulatedIsNotSearched) {
  const auto searched = [](const std::string& model, const std::string& more) {
    const Asked asked(scenario(R"("search")", model, more));
    return search_shared_experts(asked.context).layouts.size();
  };
  EXPECT_GT(searched("qwen3-30b-a3b", ""), 0u);
  EXPECT_EQ(searched("llama-3.1-8b", ""), 0u);
  EXPECT_EQ(searched("qwen3-30b-a3b", R"(, "faults": [{"at_s": 1, "what": "gpu-lost", "where": "a/gpu0"}])"),
            0u);
  Asked decode(scenario(R"("search")"));
  decode.context.role = ReplicaRole::decode;
  EXPECT_TRUE(search_shared_experts(decode.context).layouts.empty());
}

// Of 64 users two servers have 32 each: twice what one of them does with 32.
TEST(SharedExperts, ServersShareTheLoad) {
  const Asked all(scenario(R"({"tp": 1, "dp": 8, "ep": 4})"));
  Scenario few = scenario(R"({"tp": 1, "dp": 4, "ep": 4})");
  few.workload.max_concurrency = 32;
  const Asked half(std::move(few));
  const EstimatedLayout both = estimate(all.context, fixed_layout(all.scenario, *all.scenario.deployment));
  const EstimatedLayout one = estimate(half.context, fixed_layout(half.scenario, *half.scenario.deployment));
  EXPECT_NEAR(both.output_throughput, 2 * one.output_throughput, 1e-6 * both.output_throughput);
  EXPECT_EQ(both.token_seconds, one.token_seconds);
}

// Little's law: tokens/s x seconds between tokens are the requests that run; of one user that is one, however
// many ranks there are.
TEST(SharedExperts, RanksWithoutRequestsYieldNothing) {
  Scenario s = scenario(eight_ranks);
  s.workload.max_concurrency = 1;
  const Asked asked(std::move(s));
  const EstimatedLayout alone =
      estimate(asked.context, fixed_layout(asked.scenario, *asked.scenario.deployment));
  EXPECT_NEAR(alone.output_throughput * alone.token_seconds, 1, 1e-9);
}

// The proof of a search says that nothing exceeds its bound: no layout at any load may.
TEST(SharedExperts, NoEstimateExceedsTheBound) {
  for (const int users : {1, 5, 64, 300, 2000}) {
    Scenario s = scenario(R"("search")");
    s.workload.max_concurrency = s.workload.num_prompts = users;
    const Asked asked(std::move(s));
    const double bound = sharing_bound(asked.context);
    double speed = 0;
    for (const auto& [gpu, own] : sharing_speeds(asked.context)) speed += own;
    for (const EstimatedLayout& found : search_shared_experts(asked.context).layouts) {
      EXPECT_LE(found.output_throughput, bound) << users << " users, " << found.layout.describe();
      EXPECT_LE(found.output_throughput, speed) << users << " users, " << found.layout.describe();
    }
    EXPECT_LE(bound, speed);
  }
}

// A latent vector is cached once a rank instead of eight times a group: with 256 users of DeepSeek V3 the KV
// of 8,000 tokens each, 2.05 M tokens x 70,272 B = 144 GB, does not fit beside 84 GB of weights on any one
// GPU, so tp 8 runs a part of them; on eight ranks it is 18 GB each.
TEST(SharedExperts, TheSearchPrefersThemForLatentAttentionAtHighLoad) {
  Scenario s = read_scenario(JsonValue::parse(
      R"({"name": "latent", "cluster": {"nodes": [{"node": "hgx", "name": "a", "gpus": {"h200-sxm": 8}}]},
          "model": {"name": "deepseek-v3"}, "deployment": "search",
          "engine": {"max_model_len": 16384, "max_num_seqs": 512},
          "workload": {"max_concurrency": 256, "num_prompts": 256, "prompt": {"fixed": 4000},
                       "output": {"fixed": 4000}}})",
      "test.json"));
  const Asked asked(std::move(s));
  const SearchResult found = search_layouts(asked.context);
  ASSERT_FALSE(found.layouts.empty());
  EXPECT_TRUE(found.layouts.front().layout.shares_experts()) << found.layouts.front().layout.describe();
  EXPECT_LE(found.layouts.front().output_throughput, found.proof.bound);
  FixedDeployment tp_8;
  tp_8.tp = 8;
  const double by_group = estimate(asked.context, fixed_layout(asked.scenario, tp_8)).output_throughput;
  EXPECT_GT(found.layouts.front().output_throughput, 1.5 * by_group);
}

}  // namespace
}  // namespace sextant
