#include "sim/planner/whatif.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

/// Llama 3.1 8B on two workstations of one card each, 200 Gbit/s between them.
JsonValue document(const std::string& deployment) {
  unsetenv("SEXTANT_PROFILES");
  return JsonValue::parse(R"({"name": "pair", "cluster": {"nodes": [
      {"node": "workstation", "name": "node-a", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"},
      {"node": "workstation", "name": "node-b", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}],
      "network": {"switch": "mikrotik-crs804-ddq"}},
    "model": {"name": "llama-3.1-8b"}, "deployment": )" +
                              deployment + R"(, "engine": {"max_model_len": 4096},
    "workload": {"max_concurrency": 8, "num_prompts": 24, "prompt": {"fixed": 512}, "output": {"fixed": 64}}})",
                          "test.json");
}

WhatIf one(const std::string& deployment, const std::vector<std::pair<std::string, std::string>>& changes,
           bool intervals = false) {
  WhatIfOptions options;
  options.plan.threads = 1;
  options.plan.intervals = intervals;
  return what_if(document(deployment), {{"changed", changes}}, options);
}

std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += text + "\n";
  return all;
}

// Nothing changes: every ratio is 1 and so are both ends of its interval, as the same errors stand on both
// sides.
TEST(WhatIf, NoChangeMovesNothing) {
  const WhatIf result = one(R"({"pp": 2})", {{"workload.seed", "0"}}, true);
  const WhatIfRow& row = result.rows.front();
  ASSERT_TRUE(row.kept);
  EXPECT_FALSE(row.best);
  for (const auto& [metric, movement] : row.movements) {
    EXPECT_EQ(movement.base, movement.variant) << metric;
    if (!movement.ratio) continue;
    EXPECT_EQ(movement.ratio->low, 1) << metric;
    EXPECT_EQ(movement.ratio->high, 1) << metric;
    EXPECT_FALSE(movement.beyond_error()) << metric;
  }
  EXPECT_THAT(joined(row.why), HasSubstr("no pass, hop, cache or limit moves"));
}

// 200 -> 400 Gbit/s in a pipeline: the one hop moves and is named with its link, nothing else is. A chunk of
// 512 tokens is 512 x 4096 x 2 x 2 B = 8.4 MB.
TEST(WhatIf, AFasterNetworkMovesTheHop) {
  const WhatIf result = one(R"({"pp": 2})", {{"cluster.nodes[*].nic", "connectx-7-400"}});
  const std::string why = joined(result.rows.front().why);
  EXPECT_THAT(why, HasSubstr("hop 0 -> 1 (RoCE 400 Gbit/s, GPUDirect RDMA instead of RoCE 200 Gbit/s"));
  EXPECT_THAT(why, HasSubstr("50 GB/s"));
  EXPECT_THAT(why, Not(HasSubstr("pass takes")));
  const WhatIfRow& row = result.rows.front();
  EXPECT_LT(row.kept->stages[0].chunk_hop_ms, result.base.stages[0].chunk_hop_ms);
}

// The second stage's card at half its clock: its prompt passes, which compute, are named.
TEST(WhatIf, ASlowCardMovesItsStage) {
  const WhatIf result =
      one(R"({"pp": 2})",
          {{"cluster.nodes[1].gpus", R"({"rtx-pro-6000-workstation": {"count": 1, "clock": 0.5}})"}}, true);
  const WhatIfRow& row = result.rows.front();
  EXPECT_THAT(joined(row.why), HasSubstr("stage 1 (node-b/gpu0): a prompt pass takes"));
  EXPECT_TRUE(row.movements.at("mean_ttft_ms").beyond_error());
  EXPECT_GT(row.movements.at("mean_ttft_ms").ratio->low, 1);
}

// An elastic checkpoint on the same cable: the hop is left with half of 25 x 4096 / 4178 GB/s.
TEST(WhatIf, ANoisyNeighbourMovesTheHop) {
  const WhatIf result =
      one(R"({"pp": 2})", {{"background", R"([{"from": "node-a/nic0", "to": "node-b/nic0"}])"}});
  EXPECT_THAT(joined(result.rows.front().why), HasSubstr("of which 12.25 are left"));
}

// A card is lost: the pipeline over both cannot stay. A search falls back to the other card; a fixed
// deployment of two stages cannot be, and the row says why.
TEST(WhatIf, ALostCardTakesTheLayoutWithIt) {
  const WhatIf searched = one(R"("search")", {{"cluster.lost", R"(["node-b/gpu0"])"}});
  const WhatIfRow& row = searched.rows.front();
  EXPECT_FALSE(row.kept);
  EXPECT_THAT(row.not_kept, HasSubstr("it needs node-b/gpu0, which is not there"));
  ASSERT_TRUE(row.best);
  EXPECT_EQ(row.best->layout.dp, 1);
  const WhatIf fixed = one(R"({"pp": 2})", {{"cluster.lost", R"(["node-b/gpu0"])"}});
  EXPECT_EQ(fixed.rows.front().shown(), nullptr);
  EXPECT_THAT(fixed.rows.front().infeasible, HasSubstr("found 1 GPUs in the cluster"));
}

// The only switch is gone: the row names what no longer reaches what.
TEST(WhatIf, TheOnlySwitchDisconnects) {
  const WhatIf result = one(R"({"pp": 2})", {{"cluster.lost", R"(["switch"])"}});
  EXPECT_EQ(result.rows.front().shown(), nullptr);
  EXPECT_THAT(result.rows.front().infeasible, HasSubstr("found no way from node-a/gpu0 to node-b/gpu0"));
}

// What fits nowhere is a row; what is no scenario is an error before anything runs.
TEST(WhatIf, RowsWithReasonsAndTypingErrors) {
  const WhatIf result = one(R"({"pp": 2})", {{"model.name", "llama-3.1-405b"}});
  EXPECT_THAT(result.rows.front().infeasible, HasSubstr("no layout fits"));
  EXPECT_THAT(result.rows.front().not_kept, HasSubstr("it has 32 layers, the model 126"));
  try {
    one(R"({"pp": 2})", {{"workload.request_rat", "4"}});
    FAIL() << "expected an error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("variant changed"));
  }
}

// The base itself is no scenario: no variant is to blame.
TEST(WhatIf, AnErrorOfTheBaseIsNoVariants) {
  try {
    one(R"({"pp": 0})", {{"workload.seed", "4"}});
    FAIL() << "expected an error";
  } catch (const InputError& error) {
    EXPECT_THAT(error.what(), HasSubstr("deployment.pp"));
    EXPECT_THAT(error.what(), Not(HasSubstr("variant")));
  }
}

// A replica's card breaks while requests run and comes back: nothing is lost, and the row says what it cost.
TEST(WhatIf, AFaultDuringTheRun) {
  const WhatIf result =
      one(R"({"dp": 2})",
          {{"faults", R"([{"at_s": 0.2, "what": "gpu-lost", "where": "node-b/gpu0", "for_s": 0.3}])"}});
  const WhatIfRow& row = result.rows.front();
  ASSERT_TRUE(row.kept);
  EXPECT_EQ(row.kept->metrics.finished, 24);
  EXPECT_GT(row.kept->metrics.rerouted, 0);
  EXPECT_GT(row.kept->metrics.recomputed_tokens, 0);
  EXPECT_NEAR(row.kept->metrics.replica_down_s, 0.3, 1e-9);
  EXPECT_THAT(joined(row.why), HasSubstr("replicas are down for 0.3 s"));
}

}  // namespace
}  // namespace sextant
