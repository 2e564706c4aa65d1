// Branch and bound against a plain enumeration of everything: every set of replicas, every degree of each,
// every order of GPUs, every split.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <random>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/cost_tables.hpp"
#include "tests/sim/planner/enumeration.hpp"
#include "tests/sim/planner/random_cluster.hpp"
#include "tests/sim/planner/sharing_enumeration.hpp"

namespace sextant {
namespace {

/// What a check met.
struct Met {
  int sharing = 0;  ///< layouts that share experts
  bool sharing_won = false;
};

/// A mixture of experts on one or two nodes of H200 or workstation cards, whose ranks may share them.
Scenario with_experts(unsigned seed, int most, int layers) {
  std::mt19937 random(seed);
  const auto pick = [&](int from, int to) { return std::uniform_int_distribution(from, to)(random); };
  const auto one_of = [&](const std::vector<int>& values) {
    return values[static_cast<std::size_t>(pick(0, static_cast<int>(values.size()) - 1))];
  };
  const auto node = [&](int gpus) {
    const bool hgx = pick(0, 2) > 0;
    return fmt::format(R"({{"node": "{}", "gpus": {{"{}": {}}}, "nic": "connectx-7-400"}})",
                       hgx ? "hgx" : "workstation", hgx ? "h200-sxm" : "rtx-pro-6000-workstation",
                       hgx ? gpus : std::min(gpus, 2));
  };
  const int first = pick(2, std::min(4, most)), second = std::min(4, most - first);
  std::string nodes = node(first);
  if (second > 0) nodes += ", " + node(second);
  const std::string load = pick(0, 2) > 0
                               ? fmt::format("\"max_concurrency\": {}", one_of({1, 3, 16, 100, 400, 2000}))
                               : fmt::format("\"request_rate\": {}", one_of({1, 10, 100, 1000}));
  Scenario scenario = read_scenario(JsonValue::parse(
      fmt::format(R"({{"name": "experts", "cluster": {{"nodes": [{}]}}, "model": {{"name": "{}"}},
        "deployment": "search", "router": {{"policy": "{}"}},
        "engine": {{"gpu_memory_utilization": {}, "max_num_seqs": {}, "max_model_len": 4096}},
        "workload": {{{}, "num_prompts": 50, "prompt": {{"fixed": {}}}, "output": {{"fixed": {}}}}}}})",
                  nodes, pick(0, 1) == 0 ? "qwen3-30b-a3b" : "mixtral-8x7b",
                  pick(0, 1) == 0 ? "round_robin" : "least_requests", pick(3, 9) / 10.0, one_of({8, 64, 256}),
                  load, one_of({50, 500, 3000}), one_of({10, 200, 1000})),
      "experts.json"));
  auto& kinds = scenario.model.architecture.layers;
  kinds.resize(std::min(kinds.size(), static_cast<std::size_t>(layers)));
  return scenario;
}

Met check(const Scenario& s) {
  Met met;
  const Machine machine(s.cluster, s.engine.profile);
  const SearchContext context{s, machine, summarise_workload(s.workload)};

  std::vector<PrunedBranch> pruned;
  SearchOptions options;
  options.most_steps = 100'000'000;
  options.pruned = [&](const PrunedBranch& branch) { pruned.push_back(branch); };
  const SearchResult found = search_layouts(context, options);

  CostTables tables(context), divided(context, true);
  EstimatedLayout best;
  double most = 0;
  std::int64_t count = 0;
  const auto consider = [&](CostTables& costs, const Layout& layout) {
    EstimatedLayout one;
    try {
      one = layout.shares_experts() ? estimate(context, layout) : estimate(costs, layout);
    } catch (const InputError&) {
      return;  // a card without the operator: no layout can use it
    }
    if (one.kv_blocks <= 0) return;
    ++count;
    if (layout.shares_experts()) ++met.sharing;
    most = std::max(most, one.output_throughput);
    if (best.kv_blocks == 0 || better_estimate(one, best)) best = one;
  };
  const bool experts = expert_degrees(s.model, 2).size() > 1;
  Enumeration(s, [&](const Layout& layout) {
    consider(tables, layout);
    // All groups divide their experts, as far as they can.
    const bool can = std::none_of(layout.replicas.begin(), layout.replicas.end(), [&](const auto& replica) {
      return cut_obstacle(s.model, divided.cut(tensor_parallel(replica))).has_value();
    });
    if (experts && can) consider(divided, layout);
  }).run();
  SharingEnumeration(s, [&](const Layout& layout) { consider(tables, layout); }).run();

  if (std::getenv("SEXTANT_SHOW") != nullptr)
    fmt::print("{} layouts, {} steps, {} estimates, {}, rules alone {}\n", count, found.proof.steps,
               found.proof.estimates, best.layout.describe(),
               found.layouts.size() < 2 || !better_estimate(found.layouts[0], found.layouts[1]) ? "tie" : "");
  EXPECT_TRUE(found.proof.complete);
  EXPECT_EQ(found.layouts.empty(), best.kv_blocks == 0);
  EXPECT_LE(most, found.proof.bound * (1 + 1e-9));
  EXPECT_EQ(found.proof.bound, throughput_bound(context));
  if (found.layouts.empty()) return met;
  const EstimatedLayout& own = found.layouts.front();
  EXPECT_EQ(throughput_grade(own.output_throughput), throughput_grade(best.output_throughput))
      << own.layout.describe() << " " << own.output_throughput << ", " << best.layout.describe() << " "
      << best.output_throughput;
  EXPECT_NEAR(own.token_seconds / best.token_seconds, 1, 1e-9)
      << own.layout.describe() << " " << own.token_seconds << ", " << best.layout.describe() << " "
      << best.token_seconds;
  // Every proof holds for the answer too: a bound is settled by what had been found when it was met.
  for (const PrunedBranch& branch : pruned) {
    if (branch.bound == "memory" || branch.bound == "dominated") continue;
    EXPECT_LT(throughput_grade(branch.value * (1 - 1e-8)), throughput_grade(best.output_throughput) + 1)
        << branch.branch;
  }
  met.sharing_won = own.layout.shares_experts();
  return met;
}

class Exhaustive : public testing::TestWithParam<unsigned> {};

// 3 to 5 GPUs on two or three nodes, 4 to 6 layers: up to some 10^5 layouts each.
TEST_P(Exhaustive, BranchAndBoundFindsTheBest) {
  const unsigned seed = GetParam();
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  const RandomScenario random(seed, 3 + static_cast<int>(seed % 3), 4 + static_cast<int>(seed / 3 % 3));
  SCOPED_TRACE(fmt::format("seed {}: {}", seed, random.description()));
  check(random.scenario());
}

INSTANTIATE_TEST_SUITE_P(Random, Exhaustive, testing::Range(0U, 100U));

// Mixtures of experts on nodes whose GPUs can share them, 2 to 5 GPUs, 3 or 4 layers: some of the answers
// must be such layouts, and some not.
TEST(ExhaustiveExperts, SharedOnesAreFoundWhereTheyAreBest) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  int with_sharing = 0, won = 0, lost = 0;
  for (unsigned seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    const Met met = check(with_experts(seed, 2 + static_cast<int>(seed % 4), 3 + static_cast<int>(seed % 2)));
    if (met.sharing == 0) continue;
    ++with_sharing;
    ++(met.sharing_won ? won : lost);
  }
  EXPECT_GT(with_sharing, 30);
  EXPECT_GT(won, 0);
  EXPECT_GT(lost, 0);
  fmt::print("{} clusters with layouts that share experts, the best of {}\n", with_sharing, won);
}

// Two or three GPUs, four layers: every layout there is can be simulated. The plan simulates those that the
// estimate puts first. Where the estimate errs (round_robin over unequal replicas, which it takes to share
// the load as their queues allow; runs of 50 requests, half of which are ramp) the best of all may not be
// among them: nine of ten clusters must come within 2 % of it, and none may lose a quarter.
TEST(ExhaustiveSimulation, ThePlanIsNearTheBest) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  int compared = 0, near = 0, simulated = 0;
  for (unsigned seed = 2000; seed < 2020; ++seed) {
    const RandomScenario random(seed, 3, 4);
    const Scenario& s = random.scenario();
    SCOPED_TRACE(fmt::format("seed {}: {}", seed, random.description()));
    const Machine machine(s.cluster, s.engine.profile);
    const SearchContext context{s, machine, summarise_workload(s.workload)};
    CostTables tables(context);
    PlanOptions options;
    options.intervals = false;
    options.threads = 1;
    std::optional<Candidate> best;
    Enumeration(s, [&](const Layout& layout) {
      try {
        const EstimatedLayout one = estimate(tables, layout);
        if (one.kv_blocks <= 0) return;
        Candidate candidate = simulate_candidate(context, one, options);
        ++simulated;
        if (!best || ranks_before(candidate, *best)) best = std::move(candidate);
      } catch (const InputError&) {
        // A card without an operator.
      }
    }).run();
    if (!best || best->metrics.finished == 0) continue;
    ++compared;
    const Plan plan = make_plan(s, options);
    const Candidate& own = plan.candidates.front();
    EXPECT_EQ(own.startable, best->startable);
    const double ratio = own.metrics.output_throughput / best->metrics.output_throughput;
    if (ratio > 0.98) ++near;
    EXPECT_GT(ratio, 0.75) << own.layout.describe() << ", best of all " << best->layout.describe();
  }
  EXPECT_GE(10 * near, 9 * compared);
  EXPECT_GT(compared, 10);
  fmt::print("{} of {} clusters within 2 %, {} layouts simulated\n", near, compared, simulated);
}

}  // namespace
}  // namespace sextant
