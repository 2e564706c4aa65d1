#include "sim/planner/shared_experts.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "models/llm/operators.hpp"
#include "sim/planner/plan.hpp"

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
  // The estimate knows no waves: here all prompts of 64 clients come at once, and again.
  EXPECT_GT(c.estimate / c.metrics.output_throughput, 0.5);
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

}  // namespace
}  // namespace sextant
