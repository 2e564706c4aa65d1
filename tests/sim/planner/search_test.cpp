#include "sim/planner/search.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/llm/catalogue.hpp"

namespace sextant {
namespace {

ServedModel served(const std::string& name, const std::string& weights) {
  return {find_model(name).architecture, weight_format(weights), kv_format("bf16")};
}

Cluster cluster(const std::string& text) {
  return read_cluster(JsonValue::parse(text, "test.json"));
}

// 405B has 128 heads, 8 KV heads, MLP width 53248 = 2^12 x 13, AWQ groups of 128: 53248/16/128 = 26 whole
// groups.
TEST(Search, TensorParallelObstaclesInWords) {
  const ServedModel model = served("llama-3.1-405b", "awq-int4");
  EXPECT_EQ(tensor_parallel_obstacle(model, 3), "128 attention heads are not divisible by 3");
  EXPECT_EQ(tensor_parallel_obstacle(model, 1), std::nullopt);
  EXPECT_EQ(tensor_parallel_obstacle(model, 2), std::nullopt);
  EXPECT_EQ(tensor_parallel_obstacle(model, 16), std::nullopt) << "KV heads are replicated twice";
  // 53248/64 = 832 = 6.5 groups.
  EXPECT_EQ(tensor_parallel_obstacle(model, 64),
            "832 inputs of the down projection per GPU do not hold whole groups of 128 weights");
}

// An expert of Qwen3 30B is 768 wide: 768/4 = 192 is no whole number of AWQ's groups of 128, 768/2 = 384 is.
// A gpt-oss expert is 2880 = 2^6 x 45: in 16 bit of attention no group counts, and engines pad MXFP4's of 32.
TEST(Search, TensorParallelObstaclesOfExperts) {
  EXPECT_EQ(tensor_parallel_obstacle(served("qwen3-30b-a3b", "awq-int4"), 2), std::nullopt);
  EXPECT_EQ(tensor_parallel_obstacle(served("qwen3-30b-a3b", "awq-int4"), 4),
            "192 inputs of the down projection per GPU do not hold whole groups of 128 weights");
  EXPECT_EQ(tensor_parallel_obstacle(served("qwen3-30b-a3b", "bf16"), 8), std::nullopt);
  EXPECT_EQ(tensor_parallel_obstacle(served("gpt-oss-120b", "mxfp4"), 4), std::nullopt);
  EXPECT_EQ(tensor_parallel_obstacle(served("gpt-oss-120b", "mxfp4"), 128),
            "64 attention heads are not divisible by 128");
  EXPECT_EQ(tensor_parallel_obstacle(served("llama-4-scout-17b-16e-fp8", "fp8-dynamic"), 2), std::nullopt);
}

// Whole experts hold whole groups of weights: Qwen3 30B in AWQ fits four ways by experts where the width does
// not. A dense model has none to divide, and 8 experts do not go on 16 GPUs.
TEST(Search, ExpertParallelObstacles) {
  EXPECT_EQ(cut_obstacle(served("qwen3-30b-a3b", "awq-int4"), {4, 4}), std::nullopt);
  EXPECT_EQ(cut_obstacle(served("llama-3.1-8b", "bf16"), {2, 2}), "the model has no experts to divide");
  EXPECT_EQ(cut_obstacle(served("mixtral-8x7b", "bf16"), {16, 16}), "8 experts are not divisible by ep 16");
  EXPECT_EQ(expert_degrees(served("mixtral-8x7b", "bf16"), 2), (std::vector<int>{1, 2}));
  EXPECT_EQ(expert_degrees(served("mixtral-8x7b", "bf16"), 1), std::vector<int>{1});
  EXPECT_EQ(expert_degrees(served("llama-3.1-8b", "bf16"), 2), std::vector<int>{1});
}

// 126 = 3 x 42; 80 over 3: vLLM gives the remainder to the stages before the last (27, 27, 26), 32 over 5:
// 6,7,7,6... no: 32 = 5 x 6 + 2, the two before the last get one more: 6, 6, 7, 7, 6.
TEST(Search, EvenSplitIsVllms) {
  EXPECT_EQ(even_split(126, 3), (std::vector<int>{42, 42, 42}));
  EXPECT_EQ(even_split(80, 3), (std::vector<int>{27, 27, 26}));
  EXPECT_EQ(even_split(32, 5), (std::vector<int>{6, 6, 7, 7, 6}));
}

// Two equal cards on one node and one on another: the pipeline of three has three distinct orders (where the
// lone one stands), those with one change of node first.
TEST(Search, PipelinesCountInterchangeableCardsOnce) {
  const Cluster c = cluster(R"({"nodes": [
    {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200"},
    {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}]})");
  const auto groups = gpu_groups(c, 1);
  ASSERT_EQ(groups.size(), 3u);
  const auto orders = pipelines(c, groups, 3, 100);
  EXPECT_EQ(orders.size(), 3u);
  EXPECT_EQ(orders[0][0].kind, orders[0][1].kind) << "node a, node a, node b";
  EXPECT_NE(orders[2][0].kind, orders[2][1].kind) << "node a, node b, node a comes last";
  EXPECT_EQ(gpu_groups(c, 2).size(), 1u);
  EXPECT_EQ(gpu_groups(c, 3).size(), 1u) << "across nodes, where no node has enough";
}

// Two equal nodes of two cards each: a pipeline of two is either inside a node or across, whichever nodes
// they are.
TEST(Search, EqualNodesAreInterchangeable) {
  const Cluster c = cluster(
      R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200", "count": 2}]})");
  EXPECT_EQ(pipelines(c, gpu_groups(c, 1), 2, 100).size(), 2u);
}

/// What a search finds for an 8B model on these nodes, each layout as degrees, kinds of GPUs and estimate.
std::vector<std::string> found(const std::vector<std::string>& gpus) {
  std::string nodes;
  for (const std::string& gpu : gpus) {
    if (!nodes.empty()) nodes.append(",");
    nodes.append(R"({"node": "server-pcie", "nic": "connectx-7-200", "gpus": {")")
        .append(gpu)
        .append("\": 1}}");
  }
  const Scenario s = read_scenario(JsonValue::parse(
      R"({"name": "t", "cluster": {"nodes": [)" + nodes + R"(]}, "model": {"name": "llama-3.1-8b"},
      "deployment": "search", "workload": {"max_concurrency": 64, "num_prompts": 100, "prompt": {"fixed": 500},
      "output": {"fixed": 100}}})",
      "t.json"));
  const Machine machine(s.cluster, s.engine.profile);
  std::vector<std::string> lines;
  for (const EstimatedLayout& e : search_layouts({s, machine, summarise_workload(s.workload)}).layouts) {
    std::string line = e.layout.describe() + ":";
    for (const auto& replica : e.layout.replicas)
      for (const StagePlacement& stage : replica) line.append(" ").append(s.cluster.kinds(stage.gpus));
    lines.push_back(line + " " + std::to_string(std::llround(e.output_throughput)));
  }
  return lines;
}

// An L40S streams 864 GB/s, an RTX PRO 6000 Server 1,597: two replicas take the two faster cards, wherever
// the scenario puts the node of the slower one; and nothing else changes either.
TEST(Search, OrderOfNodesDoesNotMatter) {
  const std::string slow = "l40s", fast = "rtx-pro-6000-server";
  const std::vector<std::string> first = found({slow, fast, fast});
  EXPECT_EQ(first, found({fast, slow, fast}));
  EXPECT_EQ(first, found({fast, fast, slow}));
  const auto two = std::find_if(first.begin(), first.end(), [](const std::string& line) {
    return line.starts_with("tp 1 x pp 1 x dp 2:");
  });
  ASSERT_NE(two, first.end());
  EXPECT_NE(two->find(": " + fast + " " + fast + " "), std::string::npos) << *two;
}

// Two requests at once, eight GPUs: a third replica never has work, so none is proposed, and eight of them
// given by hand are worth what two are.
TEST(Search, NoReplicaIsWithoutRequests) {
  const auto scenario = [](const std::string& deployment) {
    return read_scenario(JsonValue::parse(
        R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 8}}]},
      "model": {"name": "llama-3.1-8b"}, "deployment": )" +
            deployment + R"(, "workload": {"max_concurrency": 2, "num_prompts": 20, "prompt": {"fixed": 500},
      "output": {"fixed": 100}}})",
        "t.json"));
  };
  const Scenario s = scenario(R"("search")");
  const Machine machine(s.cluster, s.engine.profile);
  const SearchContext context{s, machine, summarise_workload(s.workload)};
  const SearchResult found = search_layouts(context);
  ASSERT_FALSE(found.layouts.empty());
  for (const EstimatedLayout& e : found.layouts) EXPECT_LE(e.layout.dp, 2) << e.layout.describe();
  const auto worth = [&](int dp) {
    const Scenario fixed = scenario(R"({"tp": 1, "dp": )" + std::to_string(dp) + "}");
    return estimate(context, fixed_layout(fixed, *fixed.deployment)).output_throughput;
  };
  EXPECT_NEAR(worth(8) / worth(2), 1, 1e-9);
}

TEST(Search, FixedLayoutIsChecked) {
  const auto refusal = [](const std::string& deployment) -> std::string {
    const std::string text =
        R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}}]},
      "model": {"name": "llama-3.1-8b"}, "deployment": )" +
        deployment + R"(,
      "workload": {"request_rate": 4, "num_prompts": 10, "prompt": {"fixed": 100}, "output": {"fixed": 10}}})";
    const Scenario s = read_scenario(JsonValue::parse(text, "t.json"));
    try {
      fixed_layout(s, *s.deployment);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(refusal(R"({"tp": 2, "pp": 2})"), "");
  EXPECT_EQ(refusal(R"({"tp": 8})"),
            "t.json: deployment: found 4 GPUs in the cluster, expected tp x pp x dp, which is 8");
  EXPECT_EQ(refusal(R"({"pp": 2, "layers": [16, 15]})"),
            "t.json: deployment: found 31 layers in all stages, expected the model's 32");
  EXPECT_EQ(refusal(R"({"tp": 3})"), "t.json: deployment: tp 3: 32 attention heads are not divisible by 3");
  EXPECT_EQ(refusal(R"({"tp": 2, "ep": 2})"),
            "t.json: deployment: tp 2, ep 2: the model has no experts to divide");
  EXPECT_EQ(refusal(R"({"pp": 2, "placement": ["node-a/gpu0", "node-a/gpu0"]})"),
            "t.json: deployment: placement: found the GPU 'node-a/gpu0' twice, expected each once");
  EXPECT_EQ(refusal(R"({"pp": 2, "placement": ["node-a/gpu0", "node-a/gpu9"]})").substr(0, 63),
            "t.json: deployment: placement: found no GPU 'node-a/gpu9', did ");
}

}  // namespace
}  // namespace sextant
