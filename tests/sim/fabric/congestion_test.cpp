#include "sim/fabric/congestion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "sim/fabric/transfers.hpp"
#include "sim/kernel/random.hpp"
#include "tests/sim/fabric/toy_cluster.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

/// Nodes of one NIC of 400 Gbit/s on one switch: 50 GB/s, of which RoCE at MTU 9000 leaves 4096 of 4178 to
/// data.
Cluster star(const std::string& congestion, int nodes = 7, const std::string& transport = "roce") {
  return test::cluster(R"({"nodes": [{"node": "workstation", "count": )" + std::to_string(nodes) +
                       R"(, "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-400"}],
                       "network": {"transport": ")" +
                       transport + R"(", "congestion": )" + congestion + "}}");
}

constexpr double line = 50.0 * 4096 / 4178;

/// Nodes 0 to 3 send to node 4; node 0 sends to node 5 as well: the victim.
std::vector<TransferResult> incast_and_victim(const Cluster& cluster) {
  NcclPaths paths(cluster);
  const std::vector<int> g = cluster.gpus();
  return steady_rates(
      paths, {{g[0], g[4], 1e9}, {g[1], g[4], 1e9}, {g[2], g[4], 1e9}, {g[3], g[4], 1e9}, {g[0], g[5], 1e9}});
}

// Four senders share the port of node 4: a quarter each. The victim has the other three quarters of node 0's
// cable as long as nothing pauses it, but moves in step with the held flow beside it where a pause
// does: 12.25 GB/s instead of 36.8. Its bottleneck is then a port that it never crosses.
TEST(Congestion, FourToOneAndAVictim) {
  const std::vector<TransferResult> ideal = incast_and_victim(star("\"none\"")),
                                    paused = incast_and_victim(star("\"pfc\""));
  for (std::size_t sender = 0; sender < 4; ++sender) {
    EXPECT_NEAR(ideal[sender].gbps, line / 4, 1e-9);
    EXPECT_NEAR(paused[sender].gbps, line / 4, 1e-9);
    EXPECT_FALSE(paused[sender].paused);
  }
  EXPECT_NEAR(ideal[4].gbps, line * 3 / 4, 1e-9);
  EXPECT_FALSE(ideal[4].paused);
  EXPECT_EQ(ideal[0].queue_us, 0);
  EXPECT_NEAR(paused[4].gbps, line / 4, 1e-9);
  EXPECT_TRUE(paused[4].paused);
  EXPECT_THAT(paused[4].bottleneck, HasSubstr("-> node-e/nic0"));
}

// With DCQCN the port is used to 97.5 % and nobody is paused: the victim gets what the marked flow leaves of
// the cable.
TEST(Congestion, MarksSpareTheVictim) {
  const std::vector<TransferResult> marked = incast_and_victim(star("\"ecn\""));
  for (std::size_t sender = 0; sender < 4; ++sender) EXPECT_NEAR(marked[sender].gbps, 0.975 * line / 4, 1e-9);
  EXPECT_NEAR(marked[4].gbps, line - 0.975 * line / 4, 1e-9);
  EXPECT_FALSE(marked[4].paused);
}

// SIGCOMM 2015 (its figures from memory), all cables of 40 Gbit/s: H11 to H14 (leaf T1, two by each uplink)
// send to R on leaf T4, VS on T1 to VR on T2 by the first uplink. The uplink has 20 Gbit/s left, but measured
// were 10: the pause of R's port spreads over spine and leaf. With H31 and H32 on T3 sending to R as well,
// six share R's port: 40 / 6 = 6.7 for each and for VS; measured 4.5. The rest is arbitration: a switch
// divides by ingress, not by flow, so that T1's four get 20 together (5 each), which is outside this model.
TEST(Congestion, VictimFlowOfTheDcqcnPaper) {
  // 0-4: H11-H14 and VS to T1; 5, 6: T1 up to L1, L2; 7, 8: L1, L2 to a spine; 9, 10: spines to L3, L4; 11,
  // 12: to T4; 13: T4 to R; 14, 15: L1 to T2, T2 to VR; 16, 17: H31, H32 to T3; 18, 19: T3 to its spines'
  // side, L3 and L4.
  std::vector<double> capacities(20, 5.0);
  CongestionRules rules;
  rules.ports.assign(20, {true, true, 1e5, 2e4, 5e3, 2e5});
  for (const int senders : {4, 6}) {
    FlowEngine engine(capacities, rules);
    const auto start = [&](std::vector<int> path) { return engine.start({}, path, 1e12); };
    const FlowId victim = start({4, 5, 14, 15}), first = start({0, 5, 7, 9, 11, 13});
    start({1, 5, 7, 9, 11, 13});
    start({2, 6, 8, 10, 12, 13});
    start({3, 6, 8, 10, 12, 13});
    if (senders == 6) start({16, 18, 11, 13});
    if (senders == 6) start({17, 19, 12, 13});
    const double share = 5.0 / senders;  // GB/s: 10 Gbit/s, then 6.7
    EXPECT_NEAR(engine.rate(first), share, 1e-9);
    EXPECT_NEAR(engine.rate(victim), share, 1e-9);
    EXPECT_TRUE(engine.held_by_pauses(victim));
    EXPECT_EQ(engine.bottleneck(victim), 13);
    FlowEngine ideal(capacities);
    const FlowId free = ideal.start({}, std::vector<int>{4, 5, 14, 15}, 1e12);
    for (int i = 0; i < 2; ++i) ideal.start({}, std::vector<int>{i, 5, 7, 9, 11, 13}, 1e12);
    for (int i = 2; i < 4; ++i) ideal.start({}, std::vector<int>{i, 6, 8, 10, 12, 13}, 1e12);
    EXPECT_NEAR(ideal.rate(free), 2.5, 1e-9);  // the 20 Gbit/s that the paper expected
  }
}

// One flow alone, and pairs that do not meet, are what they were; so is a cluster without the key.
TEST(Congestion, NothingChangesWithoutAMeeting) {
  for (const char* control : {"\"pfc\"", "\"ecn\"", "\"none\""}) {
    const Cluster c = star(control);
    NcclPaths paths(c);
    const std::vector<int> g = c.gpus();
    for (const TransferResult& result :
         run_transfers(paths, {{g[0], g[1], 1e9}, {g[2], g[3], 1e9}, {g[1], g[0], 1e9}})) {
      EXPECT_NEAR(result.gbps, line, 1e-9) << control;
      EXPECT_EQ(result.queue_us, 0) << control;
      EXPECT_FALSE(result.paused) << control;
    }
  }
  // Two connections from one NIC to one NIC fill both cables alike: nothing waits at the switch.
  const Cluster c = star("\"ecn\"");
  NcclPaths paths(c);
  const std::vector<int> g = c.gpus();
  EXPECT_NEAR(steady_rates(paths, {{g[0], g[1], 1e9}, {g[0], g[1], 1e9}})[0].gbps, line / 2, 1e-9);
}

// Goodput and wait at a port of 40 Gbit/s. Paused: each ingress has its 24,470 bytes in the queue, up to the
// buffer of 375,000; at 5 bytes/ns 4 of them are 97,880 bytes and 19.6 us, 32 are cut at 375,000 and 75 us.
// Marked, packets of 1024: C = 5e9 / 1024 = 4.883e6/s, R_AI = 4883/s, N = 4: p^3 = 4883 x 16 / (55e-6
// x 4.883e6^2) x (1024e-7 + 4 / (55e-6 x 4.883e6))^2 = 5.958e-5 x 2.249e-4 = 1.340e-8, p = 0.002375: 5,000 +
// 0.2375 x 195,000 = 51,300 bytes.
TEST(Congestion, Incast) {
  Network network = star("\"pfc\"").network;
  network.mtu = 1500;  // payload 1024
  const PortState alone = incast(network, 1, 40, 0.5), four = incast(network, 4, 40, 0.5),
                  many = incast(network, 32, 40, 0.5);
  const double data = 5.0 * 1024 / 1106;
  EXPECT_EQ(alone.queue_bytes, 0);
  EXPECT_FALSE(alone.pauses);
  EXPECT_NEAR(four.goodput_gbps, data, 1e-9);
  EXPECT_NEAR(four.queue_bytes, 97880, 1);
  EXPECT_NEAR(four.delay_us, 19.576, 1e-3);
  EXPECT_TRUE(four.pauses);
  EXPECT_NEAR(many.delay_us, 75, 1e-6);
  network.congestion.control = CongestionControl::ecn;
  const PortState marked = incast(network, 4, 40, 0.5);
  EXPECT_NEAR(marked.goodput_gbps, 0.975 * data, 1e-9);
  EXPECT_NEAR(marked.queue_bytes, 51300, 100);
  EXPECT_FALSE(marked.pauses);
  EXPECT_GT(incast(network, 16, 40, 0.5).queue_bytes, 2 * marked.queue_bytes);
  network.congestion.pause_threshold_bytes = {{10000, Grade::assumed, "test", ""}, 0};
  const PortState shallow =
      incast(network, 4, 40, 0.5);  // 4 x 10,000 are less than 51,300: marks come too late
  EXPECT_TRUE(shallow.pauses);
  EXPECT_NEAR(shallow.queue_bytes, 40000, 1);
}

TEST(Congestion, BadInputIsNamed) {
  const auto message = [](const std::string& congestion, const std::string& transport = "roce") {
    return test::message_of([&] { congestion_rules(star(congestion, 2, transport)); });
  };
  EXPECT_THAT(message("\"dcqcn\""),
              AllOf(HasSubstr("network.congestion"), HasSubstr("'dcqcn', expected none, pfc or ecn")));
  EXPECT_THAT(message("\"pfc\"", "ib"), HasSubstr("'pfc' over ib, expected none"));
  EXPECT_THAT(message(R"({"control": "pfc", "headroom_bytes": 1000})"),
              HasSubstr("headroom of 1000 bytes on ports of 400"));
  EXPECT_THAT(message(R"({"control": "pfc", "buffer": 1000})"), HasSubstr("buffer_bytes"));
  EXPECT_EQ(message(R"({"control": "ecn", "pause_threshold_bytes": 50000})"), "no error");
}

struct Plain {
  std::vector<int> path;
  double limit;
};

/// Everything filled anew: the same engine with all flows begun at once.
std::vector<double> rates_anew(const std::vector<double>& capacities, const CongestionRules& rules,
                               const std::vector<Plain>& flows) {
  FlowEngine engine(capacities, rules);
  std::vector<FlowId> ids;
  for (const Plain& flow : flows) ids.push_back(engine.start({}, flow.path, 1e9, flow.limit));
  std::vector<double> rates;
  for (const FlowId id : ids) rates.push_back(engine.rate(id));
  return rates;
}

// Flows come and go at random over 60 fabrics with pauses, 60 with marks: after every change all rates are
// those of an engine that fills everything anew.
TEST(Congestion, IncrementalIsAnew) {
  for (std::uint64_t fabric = 0; fabric < 120; ++fabric) {
    RandomStream random(fabric, "congestion");
    std::vector<double> capacities(6 + random.below(20));
    for (double& capacity : capacities) capacity = 1 + 7 * random.uniform();
    CongestionRules rules;
    rules.marks = fabric % 2 == 1;
    rules.marked_efficiency = rules.marks ? 0.9 : 1;
    rules.senders = {0.01, 0.005, 55e3, 1e7, 55e3, 1024};
    for (std::size_t l = 0; l < capacities.size(); ++l)
      rules.ports.push_back({random.below(4) > 0, random.below(4) > 0, 1e5,
                             1e4 * static_cast<double>(1 + random.below(9)), 5e3, 2e5});
    FlowEngine engine(capacities, rules);
    std::vector<std::pair<FlowId, Plain>> running;
    for (int step = 0; step < 60; ++step) {
      if (!running.empty() && random.below(3) == 0) {
        const std::size_t gone = random.below(running.size());
        engine.stop({step}, running[gone].first);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(gone));
      } else {
        Plain flow{{}, FlowEngine::no_limit};
        for (std::size_t l = 0; l < capacities.size(); ++l)
          if (random.below(5) == 0) flow.path.push_back(static_cast<int>(l));
        if (flow.path.empty() || random.below(4) == 0) flow.limit = 0.1 + 2 * random.uniform();
        running.emplace_back(engine.start({step}, flow.path, 1e9, flow.limit), flow);
      }
      if (random.below(3) == 0) continue;  // several changes at once
      std::vector<Plain> flows;
      for (const auto& [id, flow] : running) flows.push_back(flow);
      const std::vector<double> expected = rates_anew(capacities, rules, flows);
      for (std::size_t f = 0; f < running.size(); ++f)
        ASSERT_NEAR(engine.rate(running[f].first), expected[f], 1e-9 * expected[f])
            << "fabric " << fabric << " step " << step << " flow " << f;
    }
  }
}

}  // namespace
}  // namespace sextant
