// The division of a cluster among models against a plain enumeration: every division of the GPUs, every
// layout of each model on its share.
#include "sim/planner/mix.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/cluster_share.hpp"
#include "sim/planner/cost_tables.hpp"
#include "sim/planner/mix_parts.hpp"
#include "tests/sim/planner/enumeration.hpp"
#include "tests/sim/planner/random_cluster.hpp"
#include "tests/sim/planner/sharing_enumeration.hpp"

namespace sextant {
namespace {

/// The most output tokens/s of any layout on these GPUs, whatever arrives.
double best_of_share(const PlannedChoice& choice, const std::vector<int>& gpus) {
  Scenario scenario = choice.context().scenario;
  scenario.cluster = cluster_share(scenario.cluster, gpus);
  const SearchContext context{scenario, choice.context().machine, choice.context().workload};
  CostTables tables(context), divided(context, true);
  const bool experts = expert_degrees(scenario.model, 2).size() > 1;
  double best = 0;
  const auto consider = [&](CostTables& costs, const Layout& layout) {
    try {
      const EstimatedLayout one =
          layout.shares_experts() ? estimate(context, layout) : estimate(costs, layout);
      if (one.kv_blocks > 0) best = std::max(best, one.output_throughput);
    } catch (const InputError&) {
      // A card without the operator: no layout can use it.
    }
  };
  Enumeration(scenario, [&](const Layout& layout) {
    consider(tables, layout);
    const bool can = std::none_of(layout.replicas.begin(), layout.replicas.end(), [&](const auto& replica) {
      return cut_obstacle(scenario.model, divided.cut(tensor_parallel(replica))).has_value();
    });
    if (experts && can) consider(divided, layout);
  }).run();
  SharingEnumeration(scenario, [&](const Layout& layout) { consider(tables, layout); }).run();
  return best;
}

/// Two models on one random cluster, four layers each: the drawn one, and Llama 3.1 8B beside it.
MixQuestion random_mix(unsigned seed, std::string& description) {
  const RandomScenario random(seed, 3 + static_cast<int>(seed % 2), 4);
  description = random.description();
  MixQuestion question{"random", "", {}};
  for (const bool drawn : {true, false}) {
    MixModel model;
    model.scenario = random.scenario();
    if (!drawn) {
      model.scenario.model = read_model(JsonValue::parse(R"({"name": "llama-3.1-8b"})", "m.json"));
      model.scenario.model.architecture.layers.resize(4);
    }
    model.name = drawn ? "drawn" : "llama-3.1-8b";
    Workload& workload = model.scenario.workload;
    // The second model's load is another one, so that shares are uneven.
    workload.arrival = Workload::Arrival::poisson;
    workload.max_concurrency = 0;
    workload.request_rate = drawn ? 10 : 3 + seed % 7;
    model.load = workload.request_rate;
    model.scenario.slo = {{"p99_tpot_ms", true, 1000}};
    model.growing = model.scenario;
    model.growing.workload.find_highest = true;
    question.models.push_back(std::move(model));
  }
  return question;
}

// Three or four GPUs on two or three nodes: every way to give each GPU to one of two models, by brute force,
// no symmetry used. The search of a share takes for equal what differs by less than a percent (search.hpp).
TEST(Mix, FindsTheDivisionThatEnumerationFinds) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  int possible = 0, complete = 0, pruned = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    std::string description;
    const MixQuestion question = random_mix(seed, description);
    SCOPED_TRACE(fmt::format("seed {}: {}", seed, description));
    const std::vector<int> gpus = question.models.front().scenario.cluster.gpus();
    std::vector<std::unique_ptr<PlannedChoice>> choices;
    std::vector<double> asked;
    for (const MixModel& model : question.models) {
      choices.push_back(std::move(planned_choices(model.growing, {}).front()));
      asked.push_back(model.load * choices.back()->context().workload.output);
    }
    double best = 0;
    for (unsigned chosen = 1; chosen + 1 < 1U << gpus.size(); ++chosen) {
      std::vector<int> own[2];
      for (std::size_t g = 0; g < gpus.size(); ++g) own[chosen >> g & 1U].push_back(gpus[g]);
      const double first = best_of_share(*choices[0], own[0]) / asked[0];
      if (first <= best) continue;
      best = std::max(best, std::min(first, best_of_share(*choices[1], own[1]) / asked[1]));
    }
    PlanOptions options;
    options.threads = 1;
    try {
      MixEstimates estimates(question, options, {});
      const std::vector<EstimatedDivision> found = estimates.run();
      ++possible;
      complete += estimates.proof().complete ? 1 : 0;
      for (const auto& [bound, count] : estimates.proof().pruned) pruned += static_cast<int>(count);
      double own = 0;
      for (const EstimatedDivision& division : found) own = std::max(own, division.least());
      EXPECT_LE(own, best * (1 + 1e-9));
      EXPECT_GE(own, 0.99 * best);
      EXPECT_LE(best, estimates.proof().bound * (1 + 1e-9));
    } catch (const InfeasibleError& error) {
      EXPECT_EQ(best, 0) << error.what();
    }
  }
  EXPECT_GE(possible, 30);
  fmt::print("{} of 40 possible, {} complete, {} divisions pruned\n", possible, complete, pruned);
}

std::vector<GpuPool> equal_nodes(int nodes, int gpus) {
  std::vector<GpuPool> pools;
  for (int n = 0; n < nodes; ++n) {
    pools.push_back({n, 0, 0, {}});
    for (int g = 0; g < gpus; ++g) pools.back().gpus.push_back(n * gpus + g);
  }
  return pools;
}

// Each of four equal nodes gives 0 to 8 of its GPUs to the first model: multisets of 4 of 9, C(12, 4) = 495,
// less the two in which one model gets nothing. Three models: a node has C(10, 2) = 45 splits, C(48, 4) =
// 194,580 multisets are too many, and models take runs along the 32 GPUs: C(31, 2) = 465 pairs of cuts.
TEST(MixDivisions, EqualNodesAndCardsCountOnce) {
  const GpuDivisions two = gpu_divisions(equal_nodes(4, 8), 2, 20'000);
  EXPECT_TRUE(two.complete);
  EXPECT_EQ(two.all.size(), 493U);
  for (const GpuDivision& division : two.all) {
    std::vector<int> all;
    for (const GpuShare& share : division.shares) all.insert(all.end(), share.gpus.begin(), share.gpus.end());
    std::sort(all.begin(), all.end());
    EXPECT_TRUE(std::adjacent_find(all.begin(), all.end()) == all.end()) << "shares are disjoint";
    EXPECT_EQ(all.size(), 32U) << "every GPU is given";
  }
  // Two of four: 15 less 2.
  EXPECT_EQ(gpu_divisions(equal_nodes(2, 4), 2, 20'000).all.size(), 13U);
  const GpuDivisions three = gpu_divisions(equal_nodes(4, 8), 3, 20'000);
  EXPECT_FALSE(three.complete);
  EXPECT_GE(three.all.size(), 465U);
  // 1,024 GPUs and four models: steps as coarse as the limit asks for.
  const GpuDivisions large = gpu_divisions(equal_nodes(128, 8), 4, 20'000);
  EXPECT_FALSE(large.complete);
  EXPECT_GE(large.all.size(), 1U);
  EXPECT_LE(large.all.size(), 20'000U);
}

TEST(Mix, TheLeastFactorDecidesThenTheNext) {
  EXPECT_TRUE(grows_further({1.5, 1.5}, {9, 1.2}));
  EXPECT_TRUE(grows_further({1.5, 3}, {1.51, 2}));  // 1.5 and 1.51 lie within two percent
  EXPECT_FALSE(grows_further({1.2, 9}, {1.5, 1.5}));
  EXPECT_FALSE(grows_further({1, 2}, {2, 1}));
  EXPECT_TRUE(grows_further({0.5, 0.5}, {0, 9}));
}

MixQuestion two_models(const std::string& first, const std::string& second, const std::string& cluster) {
  unsetenv("SEXTANT_PROFILES");
  return read_mix_question(JsonValue::parse(R"({"name": "mix", "cluster": {"nodes": [)" + cluster +
                                                R"(]}, "models": [)" + first + "," + second + R"(],
      "engine": {"max_model_len": 4096}, "workload": {"request_rate": 4, "num_prompts": 60, "prompt": {"fixed": 500},
      "output": {"fixed": 60}, "seed": 1}, "slo": {"p99_ttft_ms": "<=2000", "p99_tpot_ms": "<=60"}})",
                                            "mix.json"));
}

const std::string node = R"({"node": "hgx", "gpus": {"h200-sxm": 4}})";

// With the same load the model with nine times the weights a token gets the larger share.
TEST(Mix, TheHeavierModelGetsMore) {
  PlanOptions options;
  options.intervals = false;
  MixLimits limits;
  limits.layouts_simulated = 2;
  const MixPlan plan = plan_mix(
      two_models(R"({"name": "llama-3.1-8b"})", R"({"name": "llama-3.1-70b"})", node), options, limits);
  ASSERT_EQ(plan.best.models.size(), 2U);
  EXPECT_EQ(plan.best.models[0].gpus.size(), 1U);
  EXPECT_EQ(plan.best.models[1].gpus.size(), 3U);
  EXPECT_TRUE(plan.best.meets_slo);
  EXPECT_GT(plan.best.factor, 1);
  EXPECT_EQ(plan.proof.divisions, 3);
  // One node's NVLink: no link leads to two models' GPUs.
  EXPECT_TRUE(plan.shared.empty());
  for (const MixDivision& other : plan.others)
    if (other.meets_slo) {
      EXPECT_LE(other.factor, plan.best.factor * 1.02);
    }
  // Threads change nothing.
  options.threads = 1;
  const MixPlan again = plan_mix(
      two_models(R"({"name": "llama-3.1-8b"})", R"({"name": "llama-3.1-70b"})", node), options, limits);
  for (std::size_t m = 0; m < 2; ++m)
    EXPECT_EQ(plan.best.models[m].plan.candidates.front().metrics.fingerprint,
              again.best.models[m].plan.candidates.front().metrics.fingerprint);
}

// Two nodes of two H200, cabled: 2 + 1 and 1, 2 and 2, 1 + 1 and 1 + 1, 1 and 1 + 2: the six multisets of
// node splits less the two that leave a model without a GPU.
TEST(Mix, CabledNodesAreExchanged) {
  const MixQuestion question = two_models(R"({"name": "llama-3.1-8b"})", R"({"name": "qwen3-32b"})",
                                          R"({"node": "hgx", "gpus": {"h200-sxm": 2},
                                          "nic": "connectx-7-400", "count": 2})");
  MixEstimates estimates(question, {}, {});
  EXPECT_FALSE(estimates.run().empty());
  EXPECT_EQ(estimates.proof().divisions, 4);
}

std::string impossible(const MixQuestion& question) {
  PlanOptions options;
  options.intervals = false;
  MixLimits limits;
  limits.layouts_simulated = 2;
  try {
    plan_mix(question, options, limits);
  } catch (const InfeasibleError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
    return error.what();
  }
  return "planned";
}

TEST(Mix, SaysWhichModelCannotBeAndWhy) {
  // 405B in 16 bit is 812 GB; four H200 have 564.
  EXPECT_NE(impossible(two_models(R"({"name": "llama-3.1-8b"})", R"({"name": "llama-3.1-405b"})", node))
                .find("mix: llama-3.1-405b: no layout fits, even with the whole cluster for it alone"),
            std::string::npos);
  // 70B in 16 bit needs two H200 (141 GB each), Nemotron 120B in 16 bit three or all: five are not there.
  const std::string both = impossible(
      two_models(R"({"name": "llama-3.1-70b"})", R"({"name": "qwen3-235b-a22b", "weights": "bf16"})", node));
  EXPECT_NE(both.find("no division of the 4 GPUs holds every model"), std::string::npos) << both;
  EXPECT_NE(both.find("llama-3.1-70b"), std::string::npos);
  // A thousand requests/s of 60 tokens to 70B are beyond four cards.
  const std::string slow = impossible(two_models(R"({"name": "llama-3.1-8b"})", R"({"name": "llama-3.1-70b",
      "workload": {"request_rate": 1000, "num_prompts": 400, "prompt": {"fixed": 500}, "output": {"fixed": 60}}})",
                                                 node));
  EXPECT_NE(slow.find("keeps every SLO; the nearest"), std::string::npos) << slow;
  EXPECT_NE(slow.find("times the loads asked for all hold"), std::string::npos) << slow;
}

}  // namespace
}  // namespace sextant
