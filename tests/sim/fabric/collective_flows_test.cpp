#include "sim/fabric/collective_flows.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/hardware/wire.hpp"
#include "tests/sim/fabric/toy_cluster.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

/// One cluster and everything that makes flows of its collectives, with the shipped profiles.
struct Fabric {
  Cluster cluster;
  NcclPaths paths{cluster};
  Topology topology{cluster};
  CollectivePlanner planner{paths, topology};
  explicit Fabric(const std::string& json) : cluster(test::cluster(json)) {}
  double us(const std::string& op, double bytes, std::optional<CollectiveShape> shape = std::nullopt) {
    return 1e6 * planner.seconds(planner.flows({op, cluster.gpus(), bytes, shape}));
  }
};

std::string node_of(const char* type, const char* gpu, int count) {
  return fmt::format(R"({{"nodes": [{{"node": "{}", "gpus": {{"{}": {}}}}}]}})", type, gpu, count);
}

double at_share(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

/// A profile in the place of the one that the topology would take for its link.
class InPlaceOf {
 public:
  InPlaceOf(LinkProfile profile, const std::string& name)
      : folder_(testing::TempDir() + "sextant_in_place_" + std::to_string(getpid())) {
    profile.name = name;
    std::filesystem::create_directories(folder_);
    write_text_file(folder_ + "/link." + name + ".json", write_link_profile(profile));
    setenv("SEXTANT_PROFILES", folder_.c_str(), 1);
  }
  ~InPlaceOf() {
    unsetenv("SEXTANT_PROFILES");
    std::filesystem::remove_all(folder_);
  }
  InPlaceOf(const InPlaceOf&) = delete;
  InPlaceOf& operator=(const InPlaceOf&) = delete;

 private:
  std::string folder_;
};

// Flows against the measured curves at 512 B to 512 MiB, four operations on each group. The flows know of a
// group its plateau alone; base, hop and the other protocols' rates are fitted over all groups. Wanted and
// held: 5 % median, 15 % at p90. RTX PRO 6000 over PCIe on 2, 4 and 8 cards 3.4 and 13.9 %; H200 over NVLink
// on 2 and 4 by the published tables 3.3 and 10.7 %, by our own machine's curves 4.6 and 11.3 % (6.9 and 16.9
// % as long as messages of one channel had the base of several).
TEST(CollectiveFlows, AgreeWithMeasuredCurves) {
  struct Machine {
    const char *node, *gpu, *taken, *link;
    std::vector<int> ranks;
    double median, p90;
  };
  for (const Machine& machine :
       {Machine{"server-pcie", "rtx-pro-6000-server", "pcie-gen5", "pcie-gen5", {2, 4, 8}, 0.05, 0.15},
        Machine{"hgx", "h200-sxm", "nvlink4", "nvlink4-tables", {2, 4}, 0.05, 0.15},
        Machine{"hgx", "h200-sxm", "nvlink4", "nvlink4", {2, 4}, 0.05, 0.15}}) {
    const LinkProfile profile = find_link_profile(machine.link);
    const InPlaceOf taken(profile, machine.taken);
    std::vector<double> errors;
    std::pair<double, std::string> worst;
    for (const int ranks : machine.ranks) {
      Fabric fabric(node_of(machine.node, machine.gpu, ranks));
      for (const char* op : {"all_reduce", "all_gather", "reduce_scatter", "all_to_all"})
        for (int power = 9; power < 30; ++power) {
          const double bytes = std::pow(2.0, power);
          const double error = fabric.us(op, bytes) / profile.collective(op, ranks)->time_us(bytes) - 1;
          errors.push_back(std::abs(error));
          if (errors.back() > worst.first)
            worst = {errors.back(),
                     fmt::format("worst {:+.0f} %, {} of {} B on {}", 100 * error, op, bytes, ranks)};
        }
    }
    const double median = at_share(errors, 0.5), p90 = at_share(errors, 0.9);
    RecordProperty(machine.link,
                   fmt::format("{:.1f} % median, {:.1f} % p90, {}", 100 * median, 100 * p90, worst.second));
    EXPECT_LT(median, machine.median) << machine.link;
    EXPECT_LT(p90, machine.p90) << machine.link;
  }
}

// Four GPUs: a ring is four transfers of 6/4 of the bytes, a two-shot twelve of half of them, a one-shot
// twelve of all.
TEST(CollectiveFlows, ShapesMoveWhatTheyMust) {
  Fabric fabric(node_of("hgx", "h200-sxm", 4));
  const auto sum = [&](CollectiveShape shape) {
    const CollectiveFlows flows = fabric.planner.flows({"all_reduce", fabric.cluster.gpus(), 1e6, shape});
    double bytes = 0;
    for (const Transfer& transfer : flows.phases[0].transfers) bytes += transfer.bytes;
    return bytes;
  };
  EXPECT_DOUBLE_EQ(sum(CollectiveShape::ring), 4 * 1.5e6);
  EXPECT_DOUBLE_EQ(sum(CollectiveShape::two_shot), 12 * 0.5e6);
  EXPECT_DOUBLE_EQ(sum(CollectiveShape::one_shot), 12e6);
  // A small one is done sooner at one shot, a large one at two: 64 MiB x 3 / 450 GB/s = 447 us against 224.
  EXPECT_LT(fabric.us("all_reduce", 16384, CollectiveShape::one_shot), fabric.us("all_reduce", 16384));
  EXPECT_GT(fabric.us("all_reduce", 1 << 26, CollectiveShape::one_shot),
            fabric.us("all_reduce", 1 << 26, CollectiveShape::two_shot));
}

// 24 of an H100's 132 multiprocessors move data while NCCL's collective lasts: 18 %.
TEST(CollectiveFlows, ChannelsTakeMultiprocessors) {
  Fabric fabric(node_of("hgx", "h100-sxm", 4));
  const CollectiveFlows flows = fabric.planner.flows({"all_reduce", fabric.cluster.gpus(), 1e8});
  EXPECT_NEAR(fabric.planner.multiprocessor_share(flows, fabric.cluster.gpus()[0]), 24.0 / 132, 1e-9);
}

constexpr auto part_one = R"({"nodes": [
  {"node": "workstation", "name": "a", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200"},
  {"node": "workstation", "name": "b", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}],
  "network": {"transport": "roce"}})";

// Distributed Inference on Workstation Blackwell, Part 1: 23.0 GB/s of busbw on 200 Gbit/s. Where the 2.0
// GB/s go: headers take 25 x 82 / 4178 = 0.49, the rest is NCCL's synchronisation (chunks handed over, 1.5
// GB/s), no queueing: the NIC's cable is never full, every flow is at its own limit.
TEST(Sources, TheLossOfPartOne) {
  Fabric fabric(part_one);
  const CollectiveFlows flows = fabric.planner.flows({"all_reduce", fabric.cluster.gpus(), 1e9});
  EXPECT_EQ(flows.shape, CollectiveShape::ring);
  const double busbw = 1e9 * 4 / 3 / fabric.planner.seconds(flows) / 1e9;
  EXPECT_NEAR(busbw, 23.0, 0.3);
  const double line = 25, wire = line * 4096 / 4178;
  for (const Transfer& t : flows.phases[0].transfers) EXPECT_LT(t.limit_gbps, wire);
  for (const TransferResult& result : steady_rates(fabric.paths, flows.phases[0].transfers))
    EXPECT_EQ(result.bottleneck, "its own limit");
  EXPECT_NEAR(line - wire, 0.49, 0.01);
  EXPECT_NEAR(wire - busbw, 1.5, 0.3);
}

// Beside a checkpoint that leaves the first node at line rate, the ring's share of the cable falls to half of
// the wire: 12.3 GB/s, or 4/3 GB in 109 ms.
TEST(Sources, ACheckpointBesidePartOne) {
  Fabric fabric(part_one);
  const std::vector<int> g = fabric.cluster.gpus();
  const CollectiveFlows flows = fabric.planner.flows({"all_reduce", g, 1e9});
  const double seconds = fabric.planner.seconds(flows, {{g[0], g[2], 1e12}});
  EXPECT_NEAR(seconds, 4e9 / 3 / (12.5e9 * 4096 / 4178), 0.002);
}

// The same two nodes without GPUDirect: single-digit GB/s, by the staged curve of the link's profile.
TEST(Sources, HostStagingIsSingleDigit) {
  Cluster cluster = test::cluster(part_one);
  cluster.network.gpudirect = false;
  const Route route = Topology(cluster).route(cluster.gpus()[0], cluster.gpus()[2]);
  EXPECT_EQ(route.kind, RouteKind::network_staged);
  const double gbps = 1e9 / route.seconds(1e9) / 1e9;
  EXPECT_LT(gbps, 10);
  EXPECT_GT(gbps, 1);
}

// RDMA set-up in practice: four GPUs on NVLink 200 to 400 GB/s, eight 250 to 500; two nodes of four on 200GbE
// 20 to 24 and four nodes of four 20 to 22, as rings over one NIC (23 where the profile's plateau is 23).
TEST(Sources, RangesOfASetUpGuide) {
  for (const auto& [ranks, least, most] : {std::tuple{4, 200.0, 400.0}, {8, 250.0, 500.0}}) {
    Fabric fabric(node_of("hgx", "h100-sxm", ranks));
    const double busbw = 1e9 * 2 * (ranks - 1) / ranks / fabric.us("all_reduce", 1e9) / 1e3;
    EXPECT_GT(busbw, least) << ranks;
    EXPECT_LT(busbw, most) << ranks;
  }
  for (const int nodes : {2, 4}) {
    Fabric fabric(fmt::format(R"({{"nodes": [{{"node": "hgx", "count": {}, "gpus": {{"h100-sxm": 4}}, "nic":
      "connectx-6-200"}}], "network": {{"transport": "roce"}}}})",
                              nodes));
    const double ranks = 4.0 * nodes;
    const double busbw =
        1e9 * 2 * (ranks - 1) / ranks / fabric.us("all_reduce", 1e9, CollectiveShape::ring) / 1e3;
    EXPECT_GT(busbw, 20) << nodes;
    EXPECT_LT(busbw, 24) << nodes;
  }
}

/// Milliseconds of `bytes` all-reduced over two GPUs with `nics` NICs of that rate each, at the line's own
/// ceiling.
double least_ms(double bytes, double gbits, const char* transport, int nics) {
  return bytes / (gbits / 8e0 * nics * wire_efficiency(transport, 9000)) / 1e6;
}

// NCCL tuning for serving gives all-reduce times of 16 and 256 MB for each link. Against what the links can
// carry, each byte crossing once (two ranks, the most favourable reading):
TEST(Sources, LatencyTableOfTheTuningArticle) {
  // NVSwitch, 0.02 and 0.3 ms: do not hold. 16 MB at 450 GB/s are 0.036 ms, 256 MB 0.57.
  EXPECT_GT(16e6 / 450e9 * 1e3, 0.02);
  EXPECT_GT(256e6 / 450e9 * 1e3, 0.3);
  // InfiniBand 400G in a rack, 0.35 and 5.2 ms: hold, the second at 99 % of the ceiling.
  EXPECT_LT(least_ms(16e6, 400, "ib", 1), 0.35);
  EXPECT_LT(least_ms(256e6, 400, "ib", 1), 5.2);
  EXPECT_GT(least_ms(256e6, 400, "ib", 1), 0.98 * 5.2);
  // Across racks, 0.38 and 5.5 ms: hold.
  EXPECT_LT(least_ms(256e6, 400, "ib", 1), 0.95 * 5.5);
  // RoCE 100G, 1.3 and 20.5 ms: do not hold; headers alone make it 1.306 and 20.9.
  EXPECT_GT(least_ms(16e6, 100, "roce", 1), 1.3);
  EXPECT_GT(least_ms(256e6, 100, "roce", 1), 20.5);
  // Eight rails, 0.05 and 0.7 ms: hold.
  EXPECT_LT(least_ms(16e6, 400, "ib", 8), 0.05);
  EXPECT_LT(least_ms(256e6, 400, "ib", 8), 0.7);
}

// Its latency budget: a step of 33 ms, the network under 1 % of it inside a node and 15 to 17 % across. A 70B
// model at tp 4 makes 2 x 80 all-reduces a step, each of 16 KiB a sequence. Inside a node it does not hold:
// 160 x 10.9 us is 5 % for one sequence with NCCL, 2 to 3 % with the engine's own kernel. Across two nodes it
// holds for some sixteen sequences (256 KiB); for one it is about 8 %.
TEST(Sources, LatencyBudgetOfTheTuningArticle) {
  Fabric inside(node_of("hgx", "h100-sxm", 4));
  Fabric across(R"({"nodes": [{"node": "hgx", "count": 2, "gpus": {"h100-sxm": 2}, "nic": "connectx-7-400"}],
    "network": {"transport": "ib"}})");
  const auto share = [](double us) { return 160 * us / 33e3; };
  constexpr double one = 16384, sixteen = 16 * one;
  EXPECT_NEAR(share(inside.us("all_reduce", one)), 0.05, 0.01);
  const double kernel = share(inside.us("all_reduce", one, CollectiveShape::one_shot));
  EXPECT_GT(kernel, 0.015);
  EXPECT_LT(kernel, 0.03);
  EXPECT_NEAR(share(across.us("all_reduce", one)), 0.08, 0.015);
  EXPECT_NEAR(share(across.us("all_reduce", sixteen)), 0.16, 0.02);
}

TEST(CollectiveFlows, BadQuestionsAreNamed) {
  Fabric fabric(node_of("hgx", "h200-sxm", 4));
  const auto ask = [&](const std::string& op, std::vector<int> gpus, std::optional<CollectiveShape> shape) {
    return test::message_of([&] { fabric.planner.flows({op, gpus, 1e6, shape}); });
  };
  const std::vector<int> g = fabric.cluster.gpus();
  EXPECT_THAT(ask("all_reduce", {g[0]}, {}), HasSubstr("found 1 gpus"));
  EXPECT_THAT(ask("broadcast", g, {}), HasSubstr("broadcast"));
  EXPECT_THAT(ask("all_gather", g, CollectiveShape::tree), HasSubstr("tree"));
  EXPECT_THAT(ask("all_gather", g, CollectiveShape::two_shot), HasSubstr("two-shot"));
  EXPECT_THAT(ask("all_reduce", g, CollectiveShape::hierarchical), HasSubstr("hierarchical"));
}

// Two nodes of four with four rails: reduce-scatter, four rings over the network at once, all-gather.
TEST(CollectiveFlows, HierarchicalUsesEveryRail) {
  Fabric fabric(R"({"nodes": [{"node": "hgx", "count": 2, "gpus": {"h100-sxm": 4},
    "nics": [{"nic": "connectx-7-400", "count": 4}], "pcie": {"switches": 4}}],
    "network": {"transport": "ib", "leaf_spine": {"rails": 4, "nodes_per_leaf": 2, "spines": 1, "uplink_gbits": 400}}})");
  const CollectiveFlows flows =
      fabric.planner.flows({"all_reduce", fabric.cluster.gpus(), 1e9, CollectiveShape::hierarchical});
  ASSERT_EQ(flows.phases.size(), 3u);
  EXPECT_EQ(flows.phases[1].transfers.size(), 8u);
  // 1 GB / 4 over each of four NICs at 44 GB/s: 5.7 ms; inside 0.75 GB at about 310 GB/s twice: 4.8 ms.
  EXPECT_NEAR(fabric.planner.seconds(flows), 0.0105, 0.001);
}

}  // namespace
}  // namespace sextant
