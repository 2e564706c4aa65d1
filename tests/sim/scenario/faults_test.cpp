#include "sim/scenario/faults.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Cluster cluster() {
  return read_cluster(JsonValue::parse(
      R"({"nodes": [{"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 2}, "nic": "connectx-7-200",
                     "count": 2}]})",
      "test.json"));
}

std::vector<Fault> faults(const std::string& text) {
  return read_faults(JsonValue::parse(text, "f.json"), cluster());
}

std::string error_of(const std::string& text) {
  try {
    faults(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// From 10 s on for 5 s: there at 10, gone at 15.
TEST(Faults, LastAsLongAsTheySay) {
  const auto list = faults(R"([{"at_s": 10, "what": "gpu-lost", "where": "node-a/gpu1", "for_s": 5}])");
  EXPECT_EQ(cluster_at(cluster(), list, 9.99).gpus().size(), 4U);
  EXPECT_EQ(cluster_at(cluster(), list, 10).gpus().size(), 3U);
  EXPECT_EQ(cluster_at(cluster(), list, 15).gpus().size(), 4U);
}

// A node takes its two cards with it; a cable is one link; of two slow clocks the slower counts.
TEST(Faults, WhatTheyStrike) {
  const auto at_1 = [](const std::string& text) { return cluster_at(cluster(), faults(text), 1); };
  EXPECT_EQ(at_1(R"([{"at_s": 0, "what": "node-lost", "where": "node-b"}])").gpus().size(), 2U);
  EXPECT_EQ(at_1(R"([{"at_s": 0, "what": "link-lost", "where": "node-b/nic0"}])").links.size(),
            cluster().links.size() - 1);
  const Cluster slow = at_1(R"([{"at_s": 0, "what": "gpu-slow", "where": "node-a/gpu1", "to": 0.8},
                                {"at_s": 1, "what": "gpu-slow", "where": "node-a/gpu1", "to": 0.5}])");
  EXPECT_EQ(slow.kind(slow.gpus()[1]), "rtx-pro-6000-workstation at 50 % clock");
  const Cluster half = at_1(R"([{"at_s": 0, "what": "link-slow", "where": "node-a/nic0", "to": 0.5}])");
  int halved = 0;
  for (const Link& link : half.links) halved += link.share == 0.5 ? 1 : 0;
  EXPECT_EQ(halved, 1);
}

TEST(Faults, BadOnesAreNamed) {
  EXPECT_THAT(error_of(R"([{"at_s": 1, "what": "gpu-gone", "where": "node-a/gpu0"}])"),
              HasSubstr("[0].what"));
  EXPECT_THAT(error_of(R"([{"at_s": 1, "what": "gpu-lost", "where": "node-a/nic0"}])"),
              HasSubstr("found a nic, expected a gpu"));
  EXPECT_THAT(error_of(R"([{"at_s": 1, "what": "node-lost", "where": "node-x"}])"),
              HasSubstr("found no node 'node-x'"));
  EXPECT_THAT(error_of(R"([{"at_s": 1, "what": "gpu-slow", "where": "node-a/gpu0"}])"), HasSubstr("to"));
  EXPECT_THAT(error_of(R"([{"at_s": 1, "what": "gpu-lost", "where": "node-a/gpu0", "to": 0.5}])"),
              HasSubstr("expected it with gpu-slow or link-slow"));
  EXPECT_THAT(error_of(R"([{"at_s": -1, "what": "gpu-lost", "where": "node-a/gpu0"}])"), HasSubstr("at_s"));
}

}  // namespace
}  // namespace sextant
