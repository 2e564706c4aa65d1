// Splits of models whose layers differ: by what each layer costs and holds, not by their number.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "models/llm/catalogue.hpp"
#include "sim/planner/search.hpp"

namespace sextant {
namespace {

/// Splits over as many RTX PRO 6000 cards, by the test-only profiles, fastest first.
std::vector<std::vector<int>> splits(const std::string& model, const std::string& weights, int cards,
                                     const std::string& engine = "") {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  const std::string text =
      R"({"name": "t", "cluster": {"nodes": [{"node": "workstation", "nic": "connectx-7-200",
      "gpus": {"rtx-pro-6000-workstation": 1}, "count": )" +
      std::to_string(cards) + R"(}]}, "model": {"name": ")" + model + R"(", "weights": ")" + weights +
      R"("}, "deployment": "search", "engine": {"max_num_seqs": 32, "max_model_len": 8192)" + engine +
      R"(}, "workload": {"max_concurrency": 32, "num_prompts": 100, "prompt": {"fixed": 500}, "output": {"fixed": 100}}})";
  const Scenario scenario = read_scenario(JsonValue::parse(text, "t.json"));
  const Machine machine(scenario.cluster, scenario.engine.profile);
  const SearchContext context{scenario, machine, summarise_workload(scenario.workload)};
  const auto orders = pipelines(scenario.cluster, gpu_groups(scenario.cluster, 1), cards, 1);
  return splits_worth_trying(context, orders.front(), {1});
}

/// 10^9 parameters of each stage's layers.
std::vector<double> weights_of(const std::string& model, const std::vector<int>& split) {
  const Architecture architecture = find_model(model).architecture;
  std::vector<double> result;
  for (const LayerRange& layers : ranges(split))
    result.push_back(stage_weights(architecture, weight_format("bf16"), {layers, 1, false, false}).layers /
                     2e9);
  return result;
}

// Super 49B: of 80 layers the first 42 and the last 9 are heavy, those between light (no attention, narrow
// MLPs): 40 layers have 32.5 of the 47.8 B weights. Decoding streams weights, so equal stages are near equal
// weights, the last one's with the head's 128256 x 8192; a heavy layer is 0.86 B, 4 % of a stage.
TEST(Splits, OfUnequalLayersBalanceWhatTheyStream) {
  const auto worth = splits("llama-3.3-nemotron-super-49b", "bf16", 2);
  const std::vector<double> even = weights_of("llama-3.3-nemotron-super-49b", {40, 40});
  EXPECT_GT(even[0] / even[1], 1.8);
  const std::vector<double> best = weights_of("llama-3.3-nemotron-super-49b", worth.front());
  constexpr double head = 128'256 * 8'192 / 1e9;
  EXPECT_NEAR(best[0] / (best[1] + head), 1, 0.06) << worth.front()[0] << "/" << worth.front()[1];
  EXPECT_EQ(worth.front()[0] + worth.front()[1], 80);
}

// Super 120B: an attention layer is 36 M weights, an expert layer 2.9
// B of which few are met. No stage is empty and all 88 layers are dealt out.
TEST(Splits, OfHybridLayersCoverTheModel) {
  for (const std::vector<int>& split : splits("nemotron-3-super-120b-a12b", "nvfp4", 3)) {
    EXPECT_EQ(split.size(), 3u);
    EXPECT_EQ(split[0] + split[1] + split[2], 88);
    EXPECT_GE(*std::min_element(split.begin(), split.end()), 1);
  }
}

}  // namespace
}  // namespace sextant
