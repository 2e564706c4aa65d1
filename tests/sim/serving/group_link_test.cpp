#include <gtest/gtest.h>

#include <cstdlib>

#include "models/llm/catalogue.hpp"
#include "sim/serving/replica_model.hpp"

namespace sextant {
namespace {

Cluster cluster(const std::string& text) {
  unsetenv("SEXTANT_PROFILES");
  return read_cluster(JsonValue::parse(text, "test.json"));
}

std::vector<int> first(const Cluster& all, std::size_t count) {
  std::vector<int> gpus = all.gpus();
  gpus.resize(count);
  return gpus;
}

// Groups of 2, 3, 4 and 8 were measured. 64 MiB over NVLink 4 took four and eight 319 and 320 us; a ring of
// six moves 2 x 5/6 of the bytes, of four 2 x 3/4: 355 us at four's rate.
TEST(GroupLink, HasACurveForAnySizeInsideANode) {
  const Cluster node = cluster(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 8}}]})");
  const LinkProfile six = group_link(Topology(node), first(node, 6));
  const TransferCurve* curve = six.collective("all_reduce", 6);
  ASSERT_NE(curve, nullptr);
  EXPECT_EQ(curve->grade, Grade::scaled);
  EXPECT_GT(curve->time_us(67108864), 300);
  EXPECT_LT(curve->time_us(67108864), 370);
  EXPECT_EQ(group_link(Topology(node), first(node, 4)).collective("all_reduce", 4)->grade, Grade::measured);
}

// Two nodes of eight over eight NICs of 400 Gbit/s: the network carries 8 x 44 GB/s, about what NVLink does,
// so 1 GiB takes no less than the ring inside a node takes (about 2 B / 350 GB/s = 6 ms) and at most twice.
TEST(GroupLink, JoinsNodesByNcclsModel) {
  const std::string nics = R"(["connectx-7-400", "connectx-7-400", "connectx-7-400", "connectx-7-400",
    "connectx-7-400", "connectx-7-400", "connectx-7-400", "connectx-7-400"])";
  const std::string one = R"(["connectx-7-400"])";
  const auto seconds = [](const std::string& cards) {
    const Cluster nodes =
        cluster(R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 8}, "count": 2, "nics": )" + cards +
                R"(}], "network": {"transport": "ib"}})");
    const LinkProfile link = group_link(Topology(nodes), nodes.gpus());
    EXPECT_EQ(link.link, "ib");
    return collective_time(link, "all_reduce", 16, 1073741824.0).seconds;
  };
  const double eight = seconds(nics), single = seconds(one);
  EXPECT_GT(eight, 0.0055);
  EXPECT_LT(eight, 0.0125);
  // One NIC: a tree moves each byte once over it, at 0.92 of 44 GB/s: 26.5 ms.
  EXPECT_NEAR(single, 1.0737 / (0.92 * 44), 0.002);
}

TEST(GroupLink, TensorParallelAcrossNodesHasACost) {
  const Cluster nodes = cluster(
      R"({"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 2}, "count": 2, "nic": "connectx-7-400"}]})");
  const ServedModel model{find_model("llama-3.1-70b").architecture, weight_format("fp8"), kv_format("bf16")};
  const ReplicaModel replica(model, Machine(nodes, "bare"), {{{0, 80}, nodes.gpus()}}, {4});
  PassShape pass;
  const PrefillChunk chunk{1024, 0};
  pass.chunks = {&chunk, 1};
  pass.samples = 1;
  // 160 all-reduces of 1024 x 8192 x 2 B = 16 MiB at 31 to 50 us a MB over one NIC: 0.08 to 0.14 s.
  const double seconds = replica.families(0, pass)[Family::collective];
  EXPECT_GT(seconds, 0.07);
  EXPECT_LT(seconds, 0.15);
  EXPECT_EQ(replica.grade(), Grade::assumed);
}

}  // namespace
}  // namespace sextant
