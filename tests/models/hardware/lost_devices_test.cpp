// Devices that are gone, background traffic and lower clocks, as a scenario's cluster says them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "models/hardware/cluster.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Cluster cluster(const std::string& more, const std::string& gpus = "2") {
  return read_cluster(JsonValue::parse(R"({"nodes": [
    {"node": "workstation", "name": "node-a", "gpus": {"rtx-pro-6000-workstation": )" +
                                           gpus + R"(}, "nic": "connectx-7-200"},
    {"node": "workstation", "name": "node-b", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"},
    {"node": "workstation", "name": "node-c", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200"}
    ])" + more + "}",
                                       "s.json"));
}

template <class Action>
std::string error_of(Action action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::vector<std::string> gpu_names(const Cluster& c) {
  std::vector<std::string> names;
  for (const int gpu : c.gpus()) names.push_back(c.devices[static_cast<std::size_t>(gpu)].name);
  return names;
}

// The first of node-a's two cards is gone: the other keeps its name, and no link leads to nowhere.
TEST(LostDevices, OthersKeepTheirNames) {
  const Cluster c = cluster(R"(, "lost": ["node-a/gpu0"])");
  EXPECT_EQ(gpu_names(c), (std::vector<std::string>{"node-a/gpu1", "node-b/gpu0", "node-c/gpu0"}));
  EXPECT_EQ(c.links.size(), cluster("").links.size() - 1);
  for (const Link& link : c.links) {
    EXPECT_LT(link.from, static_cast<int>(c.devices.size()));
    EXPECT_LT(link.to, static_cast<int>(c.devices.size()));
  }
}

// A node whose only card is gone goes with its NIC and its root: three devices and the card.
TEST(LostDevices, ANodeWithoutGpusGoes) {
  const Cluster whole = cluster(""), c = cluster(R"(, "lost": ["node-b/gpu0"])");
  ASSERT_EQ(c.nodes.size(), 2U);
  EXPECT_EQ(c.nodes[1].name, "node-c");
  EXPECT_EQ(c.devices.size(), whole.devices.size() - 3);  // gpu, nic, root complex
  for (const int gpu : c.nodes[1].gpus) EXPECT_EQ(c.devices[static_cast<std::size_t>(gpu)].node, 1);
}

TEST(LostDevices, BadNamesAreNamed) {
  EXPECT_THAT(
      error_of([] { cluster(R"(, "lost": ["node-a/gpu7"])"); }),
      HasSubstr("lost[0]: found no device 'node-a/gpu7' in the cluster, expected one of node-a/gpu0"));
  EXPECT_THAT(error_of([] { cluster(R"(, "lost": ["node-a/gpu7"])"); }),
              HasSubstr("did you mean 'node-a/gpu0'"));
  // Far from every name: the list alone. A root complex cannot be lost, so it is not on it.
  const std::string far = error_of([] { cluster(R"(, "lost": ["the whole of the left cabinet"])"); });
  EXPECT_THAT(far, HasSubstr("node-c/gpu0"));
  EXPECT_THAT(far, Not(HasSubstr("did you mean")));
  EXPECT_THAT(far, Not(HasSubstr("node-a/root")));
  EXPECT_THAT(error_of([] { cluster(R"(, "lost": ["node-a/root"])"); }),
              HasSubstr("found a root complex, expected a gpu, a nic or a network switch"));
  EXPECT_THAT(
      error_of([] { cluster(R"(, "lost": ["node-a/gpu0", "node-a/gpu1", "node-b/gpu0", "node-c/gpu0"])"); }),
      HasSubstr("found every gpu in it"));
}

// One clock for all cards of an entry, or one for each; 1 is the usual clock and no kind of its own.
TEST(Clock, MakesKinds) {
  const Cluster all = cluster("", R"({"count": 2, "clock": 0.8})");
  EXPECT_EQ(all.kind(all.gpus()[0]), "rtx-pro-6000-workstation at 80 % clock");
  const Cluster one = cluster("", R"({"count": 2, "clock": [1, 0.8]})");
  EXPECT_EQ(one.kind(one.gpus()[0]), "rtx-pro-6000-workstation");
  EXPECT_EQ(one.kind(one.gpus()[1]), "rtx-pro-6000-workstation at 80 % clock");
  EXPECT_THAT(error_of([] { cluster("", R"({"count": 2, "clock": [0.8]})"); }),
              HasSubstr("found 1 clocks, expected one for each of 2 gpus"));
  EXPECT_THAT(error_of([] { cluster("", R"({"count": 2, "clock": 1.2})"); }), HasSubstr("clock"));
}

TEST(Background, IsReadAndChecked) {
  const Cluster c = cluster("");
  const auto read = [&](const std::string& text) {
    return read_background(JsonValue::parse(text, "b.json"), c);
  };
  const auto flows = read(R"([{"from": "node-a/nic0", "to": "node-b/nic0", "gbits": 40, "what": "checkpoint"},
                              {"from": "node-a/gpu0", "to": "node-c/gpu0"}])");
  ASSERT_EQ(flows.size(), 2U);
  EXPECT_DOUBLE_EQ(flows[0].gbps, 5);
  EXPECT_EQ(flows[0].what, "checkpoint");
  EXPECT_EQ(flows[1].gbps, 0);
  EXPECT_THAT(error_of([&] { read(R"([{"from": "node-a/nic0", "to": "node-b/gpu0"}])"); }),
              HasSubstr("expected two of one kind"));
  EXPECT_THAT(error_of([&] { read(R"([{"from": "node-a/nic0", "to": "node-a/nic0"}])"); }),
              HasSubstr("one device at both ends"));
  EXPECT_THAT(error_of([&] { read(R"([{"from": "node-a/nic", "to": "node-b/nic0"}])"); }),
              HasSubstr("did you mean 'node-a/nic0'"));
}

}  // namespace
}  // namespace sextant
