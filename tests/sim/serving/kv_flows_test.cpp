// Llama 3.1 70B keeps 80 layers x 8 KV heads x 2 x 128 values x 2 bytes = 327,680 bytes of a token; one head
// of all layers 40,960.
#include <gtest/gtest.h>

#include <cstdlib>
#include <set>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "sim/serving/serving_fabric.hpp"
#include "tests/sim/fabric/toy_cluster.hpp"

namespace sextant {
namespace {

constexpr double token_bytes = 327'680;

struct Bench {
  Topology topology;
  ServedModel model;
  explicit Bench(const std::string& cluster, const std::string& name = "llama-3.1-70b")
      : topology((unsetenv("SEXTANT_PROFILES"), read_cluster(JsonValue::parse(cluster, "test.json")))),
        model{find_model(name).architecture, weight_format("bf16"), kv_format("bf16")} {}

  std::vector<KvFlow> flows(const std::vector<StagePlacement>& from, int tp_from,
                            const std::vector<StagePlacement>& to, int tp_to) const {
    NcclPaths paths(topology.cluster());
    return kv_flows(paths, topology, model, from, tp_from, to, tp_to);
  }
  std::vector<int> gpus(std::size_t begin, std::size_t end) const {
    const std::vector<int> all = topology.cluster().gpus();
    return {all.begin() + static_cast<std::ptrdiff_t>(begin), all.begin() + static_cast<std::ptrdiff_t>(end)};
  }
};

double sum(const std::vector<KvFlow>& flows) {
  double bytes = 0;
  for (const KvFlow& flow : flows) bytes += flow.bytes_per_token;
  return bytes;
}

const char* const one_node = R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 8}}]})";
const char* const two_nodes = R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}, "count": 2,
  "nics": [{"nic": "connectx-7-400", "count": 4}]}], "network": {"transport": "ib"}})";

// tp 4 to tp 4: rank to rank, two heads each. tp 2 to tp 4: each sender's four heads go to two. tp 4 to tp 2:
// each receiver takes two heads from each of two.
TEST(KvFlows, FollowTheHeads) {
  const Bench b(one_node);
  const auto equal = b.flows({{{0, 80}, b.gpus(0, 4)}}, 4, {{{0, 80}, b.gpus(4, 8)}}, 4);
  ASSERT_EQ(equal.size(), 4U);
  for (const KvFlow& flow : equal) {
    EXPECT_DOUBLE_EQ(flow.bytes_per_token, token_bytes / 4);
    EXPECT_EQ(flow.layers, 80) << "two heads of each layer are one layer";
  }
  const auto wider = b.flows({{{0, 80}, b.gpus(0, 2)}}, 2, {{{0, 80}, b.gpus(4, 8)}}, 4);
  ASSERT_EQ(wider.size(), 4U);
  for (const KvFlow& flow : wider) EXPECT_DOUBLE_EQ(flow.bytes_per_token, token_bytes / 4);
  const auto narrower = b.flows({{{0, 80}, b.gpus(0, 4)}}, 4, {{{0, 80}, b.gpus(4, 6)}}, 2);
  ASSERT_EQ(narrower.size(), 4U);
  EXPECT_DOUBLE_EQ(sum(narrower), token_bytes);
}

// Stages 20/60 to 50/30, tp 1: the first sender's 20 layers go to the first receiver; of the second's 60, 30
// to either.
TEST(KvFlows, FollowTheLayers) {
  const Bench b(one_node);
  const auto flows = b.flows({{{0, 20}, b.gpus(0, 1)}, {{20, 80}, b.gpus(1, 2)}}, 1,
                             {{{0, 50}, b.gpus(2, 3)}, {{50, 80}, b.gpus(3, 4)}}, 1);
  ASSERT_EQ(flows.size(), 3U);
  EXPECT_DOUBLE_EQ(flows[0].bytes_per_token, token_bytes * 20 / 80);
  EXPECT_DOUBLE_EQ(flows[1].bytes_per_token, token_bytes * 30 / 80);
  EXPECT_DOUBLE_EQ(flows[2].bytes_per_token, token_bytes * 30 / 80);
}

// 405B has 8 KV heads of its 128: at tp 16 each is held twice. Sixteen receivers take one head each, so twice
// the bytes arrive; from eight senders each sends its head twice, from sixteen each to its like.
TEST(KvFlows, ReplicatedHeadsAreSentToEveryHolder) {
  const Bench b(
      R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 8}, "count": 4, "nics": [{"nic": "connectx-7-400",
    "count": 8}]}], "network": {"transport": "ib"}})",
      "llama-3.1-405b");
  constexpr double head = 126.0 * 2 * 128 * 2;
  const auto doubled = b.flows({{{0, 126}, b.gpus(0, 8)}}, 8, {{{0, 126}, b.gpus(16, 32)}}, 16);
  EXPECT_EQ(doubled.size(), 16U);
  EXPECT_DOUBLE_EQ(sum(doubled), 16 * head);
  const auto alike = b.flows({{{0, 126}, b.gpus(0, 16)}}, 16, {{{0, 126}, b.gpus(16, 32)}}, 16);
  EXPECT_EQ(alike.size(), 16U);
  EXPECT_DOUBLE_EQ(sum(alike), 16 * head);
  // Each of the two holders of a head feeds one of the two receivers.
  EXPECT_DOUBLE_EQ(alike.front().bytes_per_token, head);
  // Eight receivers need one copy: 8 x head.
  EXPECT_DOUBLE_EQ(sum(b.flows({{{0, 126}, b.gpus(0, 16)}}, 16, {{{0, 126}, b.gpus(16, 24)}}, 8)), 8 * head);
}

// Between two nodes of four NICs each rank has its own rail: no two of the four flows share a link, and 1,000
// tokens, 81.92 MB a rank, take no less than at 50 GB/s, 1.64 ms.
TEST(KvFlows, UseEachGpusOwnNic) {
  const Bench b(two_nodes);
  const auto flows = b.flows({{{0, 80}, b.gpus(0, 4)}}, 4, {{{0, 80}, b.gpus(4, 8)}}, 4);
  std::set<int> links;
  std::size_t count = 0;
  for (const KvFlow& flow : flows) {
    links.insert(flow.path.begin(), flow.path.end());
    count += flow.path.size();
    const double seconds = flow.alone_seconds(1000 * flow.bytes_per_token);
    EXPECT_GT(seconds, 81.92e6 / 50e9);
    EXPECT_LT(seconds, 1.5 * 81.92e6 / 50e9);
  }
  EXPECT_EQ(links.size(), count);
}

TEST(KvFlows, LayersWithAStateAreRefused) {
  const Bench b(one_node, "nemotron-3-super-120b-a12b");
  const int layers = b.model.architecture.layer_count();
  try {
    b.flows({{{0, layers}, b.gpus(0, 4)}}, 4, {{{0, layers}, b.gpus(4, 8)}}, 4);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("keep a state"), std::string::npos) << error.what();
  }
}

// Three nodes cabled NIC to NIC in a chain a - b - c: nodes pass nothing on, so a cannot send to c.
TEST(KvFlows, ADisconnectedFabricIsNamed) {
  unsetenv("SEXTANT_PROFILES");
  test::ToyCluster toy;
  std::vector<int> gpus, nics;
  for (const auto& [name, count] : {std::pair{"a", 1}, {"b", 2}, {"c", 1}}) {
    const int node = toy.node(name);
    const int root = toy.device(DeviceKind::root_complex, node, "root");
    gpus.push_back(toy.device(DeviceKind::gpu, node, "gpu0", "rtx-pro-6000-workstation"));
    toy.link(gpus.back(), root, "pcie", 63);
    for (int i = 0; i < count; ++i) {
      nics.push_back(toy.device(DeviceKind::nic, node, "nic" + std::to_string(i), "connectx-7-200"));
      toy.link(nics.back(), root, "pcie", 63);
    }
  }
  toy.link(nics[0], nics[1], "ethernet", 25);
  toy.link(nics[2], nics[3], "ethernet", 25);
  const Topology topology(toy.cluster);
  NcclPaths paths(topology.cluster());
  const ServedModel model{find_model("llama-3.1-8b").architecture, weight_format("bf16"), kv_format("bf16")};
  const std::string text = test::message_of([&] {
    kv_flows(paths, topology, model, {{{0, 32}, {gpus[0]}}}, 1, {{{0, 32}, {gpus[2]}}}, 1);
  });
  EXPECT_NE(text.find("a/gpu0"), std::string::npos) << text;
  EXPECT_NE(text.find("c/gpu0"), std::string::npos) << text;
}

Layout layout(const Bench& b, int pp, std::vector<std::vector<int>> replicas) {
  Layout result{1, pp, static_cast<int>(replicas.size()), {}};
  const std::vector<LayerRange> layers = ranges(even_split(80, pp));
  for (const std::vector<int>& gpus : replicas) {
    std::vector<StagePlacement> stages;
    for (std::size_t s = 0; s < gpus.size(); ++s)
      stages.push_back({layers[s], {b.topology.cluster().gpus()[static_cast<std::size_t>(gpus[s])]}});
    result.replicas.push_back(std::move(stages));
  }
  return result;
}

// One NIC a node: two pipelines from node to node share it, two inside a node on NVLink share nothing, and a
// single replica shares nothing whatever its way.
TEST(ServingFabric, OnlyHopsThatOthersCanMeetAreFlows) {
  const Bench b(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}, "count": 2, "nic": "connectx-7-400"}],
    "network": {"transport": "ib"}})");
  const auto shares = [&](const Layout& main) {
    return serving_fabric(b.topology, b.model, nullptr, main).shares_hops();
  };
  EXPECT_TRUE(shares(layout(b, 2, {{0, 4}, {1, 5}})));
  EXPECT_FALSE(shares(layout(b, 2, {{0, 1}, {2, 3}})));
  EXPECT_FALSE(shares(layout(b, 2, {{0, 4}})));
  EXPECT_FALSE(shares(layout(b, 2, {{0, 4}, {5, 1}}))) << "one goes there, the other comes back: full duplex";
  // KV from node to node meets a pipeline's hop that crosses as well.
  const Layout prefill = layout(b, 1, {{0}}), decode = layout(b, 2, {{1, 5}});
  const ServingFabric fabric = serving_fabric(b.topology, b.model, &prefill, decode);
  EXPECT_TRUE(fabric.shares_hops());
  ASSERT_EQ(fabric.kv.size(), 1U);
  EXPECT_EQ(fabric.kv[0][0].size(), 2U) << "to either stage";
}

}  // namespace
}  // namespace sextant
