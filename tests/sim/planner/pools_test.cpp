#include "sim/planner/pools.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "models/base/error.hpp"

namespace sextant {
namespace {

Scenario scenario(const std::string& deployment,
                  const std::string& nodes = R"([{"node": "hgx", "name": "a", "gpus": {"h200-sxm": 8}}])") {
  unsetenv("SEXTANT_PROFILES");
  return read_scenario(JsonValue::parse(R"({"name": "pools", "cluster": {"nodes": )" + nodes +
                                            R"(, "network": {"transport": "ib"}},
          "model": {"name": "llama-3.1-70b"}, "deployment": )" +
                                            deployment + R"(, "engine": {"max_model_len": 8192},
          "workload": {"request_rate": 2, "num_prompts": 40, "prompt": {"fixed": 1000}, "output": {"fixed": 20},
                       "seed": 1}})",
                                        "test.json"));
}

Candidate simulated(const Scenario& s) {
  PlanOptions options;
  options.intervals = false;
  return make_plan(s, options).candidates.front();
}

std::string message(const std::string& deployment, const std::string& nodes = "") {
  try {
    simulated(nodes.empty() ? scenario(deployment) : scenario(deployment, nodes));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// Prefill takes the first four GPUs, decode the next; 40 prompts of 1,000 tokens are 40,000 x 327,680 bytes.
TEST(Pools, FixedPoolsAreSimulatedAndReported) {
  const Candidate c = simulated(scenario(R"({"prefill": {"tp": 4}, "decode": {"tp": 4}})"));
  ASSERT_NE(c.prefill, nullptr);
  EXPECT_EQ(c.prefill->stages.front().gpus.front(), "a/gpu0");
  EXPECT_EQ(c.stages.front().gpus.front(), "a/gpu4");
  EXPECT_EQ(c.metrics.finished, 40);
  ASSERT_TRUE(c.metrics.disaggregation);
  EXPECT_EQ(c.metrics.disaggregation->kv.transfers, 40);
  EXPECT_DOUBLE_EQ(c.metrics.disaggregation->kv.bytes, 40'000.0 * 327'680);
  // 81.92 MB from rank to rank at no more than NVLink's 450 GB/s.
  EXPECT_GT(c.metrics.disaggregation->kv.transfer.mean, 0.18);
  EXPECT_LT(c.metrics.disaggregation->kv.transfer.mean, 1);
  ASSERT_TRUE(c.energy);
  EXPECT_DOUBLE_EQ(c.energy->gpu_watts, 8 * 700) << "the cards' limit: nothing else is known of their power";
}

// The prefill pool's token on its way to the client saves transfer, a step of the decode replica and its
// front end.
TEST(Pools, TheFirstTokenMayComeFromThePrefillPool) {
  const Candidate from_decode = simulated(scenario(R"({"prefill": {"tp": 4}, "decode": {"tp": 4}})"));
  const Candidate from_prefill =
      simulated(scenario(R"({"prefill": {"tp": 4}, "decode": {"tp": 4}, "first_token": "prefill"})"));
  EXPECT_LT(from_prefill.metrics.ttft.mean, from_decode.metrics.ttft.mean);
  EXPECT_GT(from_prefill.metrics.tpot.mean, from_decode.metrics.tpot.mean);
}

TEST(Pools, DegreesMayDiffer) {
  const Candidate c = simulated(scenario(R"({"prefill": {"tp": 2, "dp": 2}, "decode": {"tp": 2, "pp": 2}})"));
  EXPECT_EQ(c.metrics.finished, 40);
  EXPECT_EQ(c.prefill->layout.dp, 2);
  EXPECT_EQ(c.stages.size(), 2U);
}

TEST(Pools, BadDeploymentsAreNamed) {
  EXPECT_EQ(
      message(R"({"prefill": {"tp": 2, "placement": ["a/gpu0", "a/gpu1"]},
                       "decode": {"tp": 2, "placement": ["a/gpu1", "a/gpu2"]}})"),
      "test.json: deployment.decode.placement: found the GPU 'a/gpu1' in both pools, expected it in one "
      "of them");
  EXPECT_EQ(message(R"({"prefill": {"tp": 8}, "decode": {"tp": 4}})"),
            "test.json: deployment.decode: found 0 GPUs that the other pool leaves, expected tp x pp x dp, "
            "which is 4");
  EXPECT_EQ(message(R"({"prefill": {"tp": 2, "placement": ["a/gpu0", "a/gpu9"]}, "decode": {"tp": 2}})"),
            "test.json: deployment.prefill: placement: found no GPU 'a/gpu9', did you mean 'a/gpu0'");
  EXPECT_NE(message(R"({"prefill": {"tp": 4}})").find("decode"), std::string::npos);
  EXPECT_NE(message(R"({"prefill": "search", "decode": {"tp": 4}})").find("search.disaggregation"),
            std::string::npos);
  EXPECT_NE(message(R"({"prefill": {"tp": 4}, "decode": {"tp": 2}, "kv_connector": "P2pNcclConnector"})")
                .find("found P2pNcclConnector with tp 4 x pp 1 and tp 2 x pp 1, expected one tp"),
            std::string::npos);
  EXPECT_NE(
      message(R"({"prefill": {"tp": 4}, "decode": {"tp": 4}, "first_token": "proxy"})").find("first_token"),
      std::string::npos);
  EXPECT_NE(message(R"({"prefill": {"tp": 4, "pp": 1, "dp": 0}, "decode": {"tp": 4}})").find("dp"),
            std::string::npos);
}

// Two nodes without NICs are no cluster, before any pool is placed.
TEST(Pools, ADisconnectedFabricIsNamed) {
  EXPECT_EQ(message(R"({"prefill": {"tp": 4}, "decode": {"tp": 4}})",
                    R"([{"node": "hgx", "name": "a", "gpus": {"h200-sxm": 4}},
                        {"node": "hgx", "name": "b", "gpus": {"h200-sxm": 4}}])"),
            "test.json: cluster.nodes[0]: found no nic, expected 'nic' or 'nics' in each of 2 nodes");
}

TEST(Pools, APoolWithoutRoomIsNamed) {
  try {
    simulated(scenario(R"({"prefill": {"tp": 1}, "decode": {"tp": 4}})"));
    FAIL();
  } catch (const InfeasibleError& error) {
    EXPECT_NE(std::string(error.what()).find("the prefill pool's"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace sextant
