// Pipeline hops of several replicas over one link of 1 byte a nanosecond.
#include <gtest/gtest.h>

#include "tests/sim/serving/toy_run.hpp"

namespace sextant {
namespace {

/// Two stages with passes of 1 ms; a hop of 20,000 bytes a token takes 1 ns a byte alone, the tokens' way
/// back nothing.
class TwoStages final : public PipelineModel {
 public:
  int stages() const override { return 2; }
  PassTime pass(int, const PassShape&) const override { return {Time{1'000'000}, {}}; }
  double hop_bytes(int stage, std::int64_t tokens) const override {
    return stage == 0 ? 20'000.0 * static_cast<double>(tokens) : 0;
  }
  Time hop(int stage, std::int64_t tokens) const override {
    return {static_cast<std::int64_t>(hop_bytes(stage, tokens))};
  }
  Time host(std::int64_t) const override { return {}; }
};

ServingMetrics run_replicas(int replicas, bool shared, const Workload& workload) {
  std::vector<ReplicaSetup> setups;
  auto fabric = std::make_shared<ServingFabric>();
  fabric->capacities = {1};
  for (int i = 0; i < replicas; ++i) {
    setups.push_back({std::make_shared<TwoStages>(), 1000});
    fabric->shared_hops.push_back({shared ? std::vector<int>{0} : std::vector<int>{}, {}});
  }
  SimulationOptions options;
  options.fabric = fabric;
  return simulate(setups, engine(), workload, options);
}

// Prompts of 100 tokens: 1 ms, a hop of 2,000,000 bytes in 2 ms, 1 ms: first token at 4 ms. Two replicas at
// once share the link: the hop takes 4 ms, the first token comes at 6.
TEST(SharedLinks, HopsOfTwoReplicasShareALink) {
  const Workload two = these({{Time{}, 100, 1, {}}, {Time{}, 100, 1, {}}});
  EXPECT_DOUBLE_EQ(run_replicas(2, false, two).ttft.mean, 4);
  const ServingMetrics m = run_replicas(2, true, two);
  EXPECT_DOUBLE_EQ(m.ttft.mean, 6);
  EXPECT_NEAR(m.stages[0].hop_busy, 4.0 / 6, 1e-9) << "4 of 6 ms on either replica";
}

// The second comes 1 ms later: from 1 to 2 ms the first hop sends 1,000,000 bytes alone, then both share; the
// first ends its other 1,000,000 at 4, the second, with 1,000,000 left, at 5. First tokens 5 and 6 - 1 ms
// after the arrivals.
TEST(SharedLinks, OnlyWhileTheyLast) {
  const ServingMetrics m =
      run_replicas(2, true, these({{Time{}, 100, 1, {}}, {Time{1'000'000}, 100, 1, {}}}));
  EXPECT_DOUBLE_EQ(m.ttft.mean, (5.0 + 5.0) / 2);
}

// Alone on a link that others could use, a hop takes what it would have taken.
TEST(SharedLinks, AloneNothingChanges) {
  const Workload w = closed_loop(1, 20, 70, 9);
  const ServingMetrics fixed = run_replicas(2, false, w), flows = run_replicas(2, true, w);
  EXPECT_DOUBLE_EQ(fixed.e2el.mean, flows.e2el.mean);
  EXPECT_DOUBLE_EQ(fixed.ttft.p99, flows.ttft.p99);
}

}  // namespace
}  // namespace sextant
