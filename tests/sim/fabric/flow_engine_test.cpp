#include "sim/fabric/flow_engine.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "sim/kernel/random.hpp"

namespace sextant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr double no_limit = FlowEngine::no_limit;

FlowId start(FlowEngine& engine, const std::vector<int>& path, double bytes = 1e9, double limit = no_limit,
             std::int64_t latency_ns = 0, std::int64_t now_ns = 0) {
  return engine.start({now_ns}, path, bytes, limit, {latency_ns});
}

template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// 1000 bytes at 8 bytes/ns end after 125 ns.
TEST(FlowEngine, OneFlowTakesItsNarrowestLink) {
  FlowEngine engine({10, 8, 20});
  const FlowId id = start(engine, {0, 1, 2}, 1000);
  EXPECT_EQ(engine.rate(id), 8);
  EXPECT_EQ(engine.bottleneck(id), 1);
  EXPECT_EQ(engine.next_change(), Time{125});
  EXPECT_THAT(engine.advance({125}), ElementsAre(id));
  EXPECT_EQ(engine.next_change(), Time::max());
}

// The textbook's line of links: a over both of 10, b over the first, c and d over the second. The second is
// shared by three: 10/3 each; the first leaves b 20/3.
TEST(FlowEngine, LineOfTwoLinks) {
  FlowEngine engine({10, 10});
  const FlowId a = start(engine, {0, 1}), b = start(engine, {0}), c = start(engine, {1}),
               d = start(engine, {1});
  for (const FlowId id : {a, c, d}) EXPECT_DOUBLE_EQ(engine.rate(id), 10.0 / 3);
  EXPECT_DOUBLE_EQ(engine.rate(b), 20.0 / 3);
  EXPECT_EQ(engine.bottleneck(a), 1);
  EXPECT_EQ(engine.bottleneck(b), 0);
  EXPECT_DOUBLE_EQ(engine.load(0), 10);
  EXPECT_DOUBLE_EQ(engine.load(1), 10);
}

// Two flows share 10: 5 each. The shorter (500) ends at 100 ns; the longer (1500) has 1000 left, which take
// 100 ns at 10: it ends at 200 ns.
TEST(FlowEngine, WhatOneLeavesTheOtherTakes) {
  FlowEngine engine({10});
  const FlowId shorter = start(engine, {0}, 500), longer = start(engine, {0}, 1500);
  EXPECT_EQ(engine.next_change(), Time{100});
  EXPECT_THAT(engine.advance({100}), ElementsAre(shorter));
  EXPECT_EQ(engine.rate(longer), 10);
  EXPECT_EQ(engine.remaining({150}, longer), 500);
  EXPECT_EQ(engine.next_change(), Time{200});
  EXPECT_THAT(engine.advance({200}), ElementsAre(longer));
}

// A limit of 2 leaves 8 to the other; without links the limit alone counts.
TEST(FlowEngine, LimitsOfTheirOwn) {
  FlowEngine engine({10});
  const FlowId slow = start(engine, {0}, 100, 2), fast = start(engine, {0}, 1e9),
               local = start(engine, {}, 50, 5);
  EXPECT_EQ(engine.rate(slow), 2);
  EXPECT_EQ(engine.bottleneck(slow), FlowEngine::own_limit);
  EXPECT_EQ(engine.rate(fast), 8);
  EXPECT_EQ(engine.next_change(), Time{10});
  EXPECT_THAT(engine.advance({10}), ElementsAre(local));
  EXPECT_EQ(engine.next_change(), Time{50});
}

// 100 ns of latency pass before the second flow moves; until then the first has all of 10: at 100 ns it has
// 1000 of 2000 left, which take 200 ns at half the rate.
TEST(FlowEngine, LatencyComesFirst) {
  FlowEngine engine({10});
  const FlowId first = start(engine, {0}, 2000), second = start(engine, {0}, 1e6, no_limit, 100);
  EXPECT_EQ(engine.rate(first), 10);
  EXPECT_EQ(engine.rate(second), 0);
  EXPECT_EQ(engine.next_change(), Time{100});
  EXPECT_TRUE(engine.advance({100}).empty());
  EXPECT_EQ(engine.rate(second), 5);
  EXPECT_EQ(engine.next_change(), Time{300});
}

// A flow of nothing takes its latency.
TEST(FlowEngine, NoBytes) {
  FlowEngine engine({10});
  const FlowId id = start(engine, {0}, 0, no_limit, 7);
  EXPECT_EQ(engine.next_change(), Time{7});
  EXPECT_THAT(engine.advance({7}), ElementsAre(id));
}

// A port that comes up at half speed: 1000 bytes, 50 ns at 10, then 100 ns at 5.
TEST(FlowEngine, CapacityChangesOnTheWay) {
  FlowEngine engine({10});
  const FlowId id = start(engine, {0}, 1000);
  EXPECT_EQ(engine.next_change(), Time{100});
  engine.set_capacity({50}, 0, 5);
  EXPECT_EQ(engine.rate(id), 5);
  EXPECT_EQ(engine.next_change(), Time{150});
  EXPECT_EQ(engine.stop({100}, id), 250);
  EXPECT_EQ(engine.flows(), 0u);
}

// Pairs on links of their own: the end of one flow works out no other's rate.
TEST(FlowEngine, AChangeTouchesOnlyItsComponent) {
  FlowEngine engine(std::vector<double>(1000, 10));
  for (int link = 0; link < 1000; ++link) {
    start(engine, {link}, 1000 + link * 10);
    start(engine, {link}, 1e6);
  }
  EXPECT_EQ(engine.next_change(), Time{200});
  const std::uint64_t before = engine.flows_visited();
  engine.advance({200});
  engine.next_change();
  EXPECT_EQ(engine.flows_visited() - before, 1u);
}

// Slower flows of the same component stay untouched: x (limited to 1) shares its link with y, z has y's other
// link with it; when z ends, y alone is worked out again.
TEST(FlowEngine, SlowerFlowsAreNotVisited) {
  FlowEngine engine({10, 6});
  const FlowId x = start(engine, {0}, 1e9, 1), y = start(engine, {0, 1}), z = start(engine, {1}, 30);
  EXPECT_EQ(engine.rate(y), 3);
  EXPECT_EQ(engine.next_change(), Time{10});
  const std::uint64_t before = engine.flows_visited();
  EXPECT_THAT(engine.advance({10}), ElementsAre(z));
  EXPECT_EQ(engine.rate(y), 6);
  EXPECT_EQ(engine.rate(x), 1);
  EXPECT_EQ(engine.flows_visited() - before, 1u);
}

TEST(FlowEngine, BadInputIsNamed) {
  EXPECT_THAT(message_of([] { FlowEngine({10, 0}); }), HasSubstr("link direction 1: found a capacity of 0"));
  EXPECT_THAT(message_of([] { FlowEngine({std::nan("")}); }), HasSubstr("nan"));
  FlowEngine engine({10, 10});
  EXPECT_THAT(message_of([&] { start(engine, {0, 1, 0}); }), HasSubstr("a cycle"));
  EXPECT_THAT(message_of([&] { start(engine, {2}); }), HasSubstr("link direction 2, expected 0 to 1"));
  EXPECT_THAT(message_of([&] { start(engine, {0}, -1); }), HasSubstr("-1 bytes"));
  EXPECT_THAT(message_of([&] { start(engine, {0}, 1, 0); }), HasSubstr("limit of 0"));
  EXPECT_THAT(message_of([&] { start(engine, {}, 1); }), HasSubstr("neither links nor a limit"));
  EXPECT_THAT(message_of([&] { engine.set_capacity({0}, 0, -1); }), HasSubstr("-1"));
  EXPECT_EQ(engine.flows(), 0u);
}

struct Plain {
  std::vector<int> path;
  double limit = no_limit;
};

/// The same rates by the plainest rule: raise all, stop those at a full link or at their limit, repeat.
std::vector<double> plain_rates(const std::vector<double>& capacities, const std::vector<Plain>& flows) {
  std::vector<double> rates(flows.size(), -1), left = capacities;
  for (std::size_t done = 0; done < flows.size();) {
    double level = no_limit;
    std::vector<int> open(capacities.size());
    for (std::size_t f = 0; f < flows.size(); ++f)
      if (rates[f] < 0) {
        for (const int link : flows[f].path) ++open[static_cast<std::size_t>(link)];
        level = std::min(level, flows[f].limit);
      }
    for (std::size_t l = 0; l < capacities.size(); ++l)
      if (open[l] > 0) level = std::min(level, left[l] / open[l]);
    const std::vector<double> shares = left;
    for (std::size_t f = 0; f < flows.size(); ++f) {
      if (rates[f] >= 0) continue;
      bool stops = flows[f].limit <= level * (1 + 1e-12);
      for (const int link : flows[f].path) {
        const auto l = static_cast<std::size_t>(link);
        stops = stops || shares[l] / open[l] <= level * (1 + 1e-12);
      }
      if (!stops) continue;
      rates[f] = level;
      ++done;
      for (const int link : flows[f].path) left[static_cast<std::size_t>(link)] -= level;
    }
  }
  return rates;
}

// Flows come and go at random over 100 fabrics; after every change all rates are those of the plain rule.
TEST(FlowEngine, IncrementalIsPlain) {
  for (std::uint64_t fabric = 0; fabric < 100; ++fabric) {
    RandomStream random(fabric, "fabric");
    std::vector<double> capacities(4 + random.below(20));
    for (double& capacity : capacities) capacity = static_cast<double>(1 + random.below(8));
    FlowEngine engine(capacities);
    std::vector<std::pair<FlowId, Plain>> running;
    for (int step = 0; step < 60; ++step) {
      if (!running.empty() && random.below(3) == 0) {
        const std::size_t victim = random.below(running.size());
        engine.stop({step}, running[victim].first);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(victim));
      } else {
        Plain flow;
        for (std::size_t l = 0; l < capacities.size(); ++l)
          if (random.below(4) == 0) flow.path.push_back(static_cast<int>(l));
        if (flow.path.empty() || random.below(4) == 0)
          flow.limit = 0.25 * static_cast<double>(1 + random.below(8));
        running.emplace_back(start(engine, flow.path, 1e9, flow.limit, 0, step), flow);
      }
      if (random.below(3) == 0) continue;  // several changes at once
      std::vector<Plain> flows;
      for (const auto& [id, flow] : running) flows.push_back(flow);
      const std::vector<double> expected = plain_rates(capacities, flows);
      for (std::size_t f = 0; f < running.size(); ++f)
        ASSERT_NEAR(engine.rate(running[f].first), expected[f], 1e-9 * expected[f])
            << "fabric " << fabric << " step " << step;
    }
  }
}

}  // namespace
}  // namespace sextant
