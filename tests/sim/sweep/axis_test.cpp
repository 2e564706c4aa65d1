#include "sim/sweep/axis.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

std::string message(const std::string& text) {
  try {
    read_axis(text);
    return "accepted";
  } catch (const InputError& error) {
    return error.what();
  }
}

TEST(Axis, ReadsValuesAsJsonAndTheRestAsText) {
  const Axis axis = read_axis("model.weights=bf16,4,0.50,\"a,b\",true");
  EXPECT_EQ(axis.path(), "model.weights");
  ASSERT_EQ(axis.size(), 5U);
  EXPECT_EQ(axis.value(0), "\"bf16\"");
  EXPECT_EQ(axis.value(1), "4");
  EXPECT_EQ(axis.value(2), "0.5");
  EXPECT_EQ(axis.value(3), "\"a,b\"");
  EXPECT_EQ(axis.value(4), "true");
}

TEST(Axis, CommasWithinBracketsBelongToTheValue) {
  const Axis axis = read_axis("deployment={\"tp\":1,\"pp\":3},{\"tp\":2,\"layers\":[40,40]}");
  ASSERT_EQ(axis.size(), 2U);
  EXPECT_EQ(axis.value(0), "{\"pp\":3,\"tp\":1}");  // keys sorted: one text for one value
}

TEST(Axis, RangeHoldsBothEnds) {
  const Axis axis = read_axis("workload.seed=-1..1000000");
  EXPECT_EQ(axis.size(), 1000002U);
  EXPECT_EQ(axis.value(0), "-1");
  EXPECT_EQ(axis.value(1000001), "1000000");
  EXPECT_EQ(axis.values_text(), "\"-1..1000000\"");
}

TEST(Axis, RefusesWhatIsNoAxis) {
  EXPECT_NE(message("workload.seed").find("expected PATH=VALUE"), std::string::npos);
  EXPECT_NE(message("=1").find("expected PATH=VALUE"), std::string::npos);
  EXPECT_NE(message("a=1,,2").find("empty value"), std::string::npos);
  EXPECT_NE(message("a=").find("empty value"), std::string::npos);
  EXPECT_NE(message("a=1,2,1.0,1").find("found 1 twice"), std::string::npos);
  EXPECT_NE(message("a=5..1").find("first..last"), std::string::npos);
}

TEST(Axes, MayNotWriteOnePlaceTwice) {
  const auto together = [](const std::string& a, const std::string& b) {
    try {
      expect_separate({read_axis(a + "=1"), read_axis(b + "=2")});
      return true;
    } catch (const InputError&) {
      return false;
    }
  };
  EXPECT_FALSE(together("workload.seed", "workload.seed"));
  EXPECT_FALSE(together("deployment", "deployment.tp"));
  EXPECT_FALSE(together("cluster.nodes[*].nic", "cluster.nodes[0].nic"));
  EXPECT_FALSE(together("cluster.nodes", "cluster.nodes[0].nic"));
  EXPECT_TRUE(together("workload.seed", "workload.see"));
  EXPECT_TRUE(together("cluster.nodes[0].nic", "cluster.nodes[1].nic"));
  EXPECT_TRUE(together("cluster.nodes[*].nic", "cluster.nodes[0].count"));
}

}  // namespace
}  // namespace sextant
