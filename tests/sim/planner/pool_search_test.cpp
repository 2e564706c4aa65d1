// The search over pools against a plain enumeration: every division of the GPUs, every layout of either pool.
#include "sim/planner/pool_search.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/cost_tables.hpp"
#include "tests/sim/planner/enumeration.hpp"
#include "tests/sim/planner/random_cluster.hpp"

namespace sextant {
namespace {

struct Rated {
  Layout layout;
  double rate = 0;
};

/// All layouts of one pool on these GPUs, those that carry most first.
std::vector<Rated> all_layouts(const SearchContext& context, ReplicaRole role, const std::vector<int>& gpus) {
  const PoolContext pool(context, role, gpus);
  CostTables tables(pool.context()), divided(pool.context(), true);
  const bool experts = expert_degrees(context.scenario.model, 2).size() > 1;
  std::vector<Rated> all;
  const auto add = [&](CostTables& costs, Layout layout, int ep) {
    try {
      const double rate = estimate(costs, layout).output_throughput;
      layout.ep = ep;
      if (rate > 0) all.push_back({std::move(layout), rate});
    } catch (const InputError&) {
      // A card without the operator.
    }
  };
  Enumeration(pool.context().scenario, [&](const Layout& layout) {
    add(tables, layout, 1);
    int widest = 1;
    bool can = experts;
    for (const auto& replica : layout.replicas) {
      const int tp = tensor_parallel(replica);
      can = can && !cut_obstacle(context.scenario.model, divided.cut(tp));
      widest = std::max(widest, tp);
    }
    if (can && widest > 1) add(divided, layout, widest);
  }).run();
  std::stable_sort(all.begin(), all.end(), [](const Rated& a, const Rated& b) { return a.rate > b.rate; });
  return all;
}

/// The most that any two pools carry.
double best_of_all(const SearchContext& context) {
  const std::vector<int> gpus = context.scenario.cluster.gpus();
  double best = 0;
  for (unsigned chosen = 1; chosen + 1 < 1U << gpus.size(); ++chosen) {
    std::vector<int> first, second;
    for (std::size_t g = 0; g < gpus.size(); ++g)
      ((chosen >> g & 1U) != 0 ? first : second).push_back(gpus[g]);
    const auto prefill = all_layouts(context, ReplicaRole::prefill, first),
               decode = all_layouts(context, ReplicaRole::decode, second);
    for (const Rated& from : prefill)
      for (const Rated& to : decode) {
        if (std::min(from.rate, to.rate) <= best) break;
        best = std::max(best, std::min({from.rate, to.rate, transfer_rate(context, from.layout, to.layout)}));
      }
  }
  return best;
}

// Two to four GPUs on two or three nodes, four layers. The search of a pool takes for equal what differs by
// less than a percent (search.hpp), so it may stay a percent below the best.
TEST(PoolSearch, FindsWhatEnumerationFinds) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  int possible = 0, complete = 0;
  for (unsigned seed = 0; seed < 40; ++seed) {
    const RandomScenario random(seed, 3 + static_cast<int>(seed % 2), 4);
    const Scenario& s = random.scenario();
    SCOPED_TRACE(fmt::format("seed {}: {}", seed, random.description()));
    const Machine machine(s.cluster, s.engine.profile);
    const SearchContext context{s, machine, summarise_workload(s.workload)};
    std::vector<PrunedBranch> pruned;
    SearchOptions options;
    options.pruned = [&](const PrunedBranch& branch) { pruned.push_back(branch); };
    const SearchResult found = search_pools(context, options);
    const WorkloadSummary& load = context.workload;
    const double demand =
        load.concurrency > 0 ? std::numeric_limits<double>::infinity() : load.rate * load.output;
    const double best = best_of_all(context);
    EXPECT_EQ(found.layouts.empty(), best == 0);
    if (best == 0) continue;
    ++possible;
    complete += found.proof.complete ? 1 : 0;
    EXPECT_LE(std::min(best, demand), found.proof.bound * (1 + 1e-9));
    const double own = found.layouts.front().output_throughput;
    EXPECT_LE(own, best * (1 + 1e-9));
    if (found.proof.complete) {
      EXPECT_GE(own, 0.99 * std::min(best, demand));
    }
    for (const PrunedBranch& branch : pruned) {
      if (branch.bound != "demand") EXPECT_LE(branch.value, own * 1.011) << branch.branch;
    }
  }
  EXPECT_GE(possible, 20);
  EXPECT_GE(5 * complete, 4 * possible);
  fmt::print("{} of {} searches complete\n", complete, possible);
}

Scenario two_nodes(const std::string& search, const std::string& workload = R"("request_rate": 2)",
                   const std::string& more = "") {
  unsetenv("SEXTANT_PROFILES");
  return read_scenario(JsonValue::parse(R"({"name": "pools", "cluster": {"nodes": [
      {"node": "hgx", "gpus": {"h200-sxm": 2}, "nic": "connectx-7-400", "count": 2}],
      "network": {"transport": "ib"}},
      "model": {"name": "llama-3.1-70b", "weights": "fp8"}, "deployment": "search", "search": )" +
                                            search + R"(, "engine": {"max_model_len": 8192}, "workload": {)" +
                                            workload + R"(, "num_prompts": 40, "prompt": {"fixed": 1000},
      "output": {"fixed": 20}, "seed": 1})" +
                                            more + "}",
                                        "test.json"));
}

// A prompt's KV is 1,000 x 327,680 bytes; one port of 400 Gbit/s passes 50 GB/s: 152.6 requests/s of 20
// tokens each. Pools that share a node need no network.
TEST(PoolSearch, TheNetworkBoundsWhatPoolsOnTwoNodesCarry) {
  const Scenario s = two_nodes(R"({"disaggregation": [true]})");
  const Machine machine(s.cluster, s.engine.profile);
  const SearchContext context{s, machine, summarise_workload(s.workload)};
  const std::vector<int> gpus = s.cluster.gpus();
  EXPECT_NEAR(transfer_bound(context, {gpus[0], gpus[1]}, {gpus[2], gpus[3]}), 50e9 / 327.68e6 * 20, 1);
  EXPECT_EQ(transfer_bound(context, {gpus[0]}, {gpus[1], gpus[2], gpus[3]}),
            std::numeric_limits<double>::infinity());
}

TEST(PoolSearch, APlanWeighsTwoPoolsAgainstOne) {
  PlanOptions options;
  options.intervals = false;
  const Plan plan = make_plan(two_nodes(R"({"disaggregation": [false, true]})"), options);
  ASSERT_EQ(plan.choices.size(), 2U);
  EXPECT_TRUE(plan.choices[0].best && plan.choices[1].best);
  EXPECT_TRUE(std::any_of(plan.candidates.begin(), plan.candidates.end(),
                          [](const Candidate& c) { return c.prefill != nullptr; }));
  EXPECT_TRUE(std::any_of(plan.reasons.begin(), plan.reasons.end(), [](const std::string& text) {
    return text.starts_with("prefill and decode apart");
  }));
  const Plan apart = make_plan(two_nodes(R"({"disaggregation": [true]})"), options);
  for (const Candidate& c : apart.candidates) EXPECT_NE(c.prefill, nullptr);
}

// The highest load of pools, by the same probes as of one.
TEST(PoolSearch, PoolsHaveAHighestLoad) {
  PlanOptions options;
  options.intervals = false;
  options.simulate_at_most = 2;
  const Plan plan = make_plan(two_nodes(R"({"disaggregation": [true]})", R"("request_rate": "highest")",
                                        R"(, "slo": {"p99_ttft_ms": "<=2000"})"),
                              options);
  ASSERT_TRUE(plan.candidates.front().load);
  EXPECT_GT(plan.candidates.front().load->highest, 0.1);
}

std::string refusal(const std::string& search, const std::string& more = "") {
  try {
    two_nodes(search, R"("request_rate": 2)", more);
  } catch (const InputError& error) {
    return error.what();
  }
  return "none";
}

TEST(PoolSearch, BadAnswersAreNamed) {
  EXPECT_NE(refusal(R"({"disaggregation": true})").find("search.disaggregation"), std::string::npos);
  EXPECT_NE(refusal(R"({"disaggregation": []})").find("found an empty list"), std::string::npos);
  EXPECT_NE(refusal(R"({"disaggregation": ["yes"]})").find("search.disaggregation[0]"), std::string::npos);
  EXPECT_NE(refusal(R"({"disaggregation": [true, true]})").find("twice"), std::string::npos);
  EXPECT_NE(refusal(R"({"disaggregation": [true]})",
                    R"(, "faults": [{"at_s": 1, "what": "gpu-lost", "where": "node-a/gpu0"}])")
                .find("faults"),
            std::string::npos);
}

// Turns give both replicas as many requests, so the slower one's rate counts twice; a router that looks at
// their load lets each serve what it can.
TEST(Estimate, KnowsTheRouter) {
  unsetenv("SEXTANT_PROFILES");
  const auto estimated = [](const std::string& router, int replicas) {
    const Scenario s = read_scenario(JsonValue::parse(R"({"name": "t", "cluster": {"nodes": [
      {"node": "server-pcie", "nic": "connectx-7-200", "gpus": {"l40s": 1}},
      {"node": "server-pcie", "nic": "connectx-7-200", "gpus": {"rtx-pro-6000-server": 1}}]},
      "model": {"name": "llama-3.1-8b"}, "deployment": "search", "router": ")" +
                                                          router + R"(",
      "workload": {"max_concurrency": 64, "num_prompts": 100, "prompt": {"fixed": 500}, "output": {"fixed": 100}}})",
                                                      "t.json"));
    const Machine machine(s.cluster, s.engine.profile);
    const SearchContext context{s, machine, summarise_workload(s.workload)};
    CostTables tables(context);
    const std::vector<int> gpus = s.cluster.gpus();
    Layout layout{1, 1, 2, {{{{0, 32}, {gpus[0]}}}, {{{0, 32}, {gpus[static_cast<std::size_t>(replicas)]}}}}};
    return estimate(tables, layout).output_throughput;
  };
  const double slow = estimated("round_robin", 0) / 2;
  EXPECT_NEAR(estimated("round_robin", 1), 2 * slow, 1e-6);
  EXPECT_GT(estimated("least_requests", 1), 2.2 * slow);
}

}  // namespace
}  // namespace sextant
