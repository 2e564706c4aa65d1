#include "models/profile/scaling_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/base/error.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

constexpr auto text = R"({
  "format": "sextant scaling rules", "version": 1,
  "distances": {"near": {"meaning": "m", "families": {
    "moe": {"spread": [0.5, 2], "unfollowed": 0.5, "grade": "fitted", "source": "s"},
    "moe/fp8": {"spread": [0.25, 4], "unfollowed": 0, "grade": "fitted", "source": "s"}}}}})";

ScalingRules rules(std::string changed = text) {
  return read_scaling_rules(JsonValue::parse(changed, "rules"));
}

std::string edited(const std::string& from, const std::string& to) {
  std::string changed = text;
  return changed.replace(changed.find(from), from.size(), to);
}

template <class Call>
std::string message(Call&& call) {
  try {
    call();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ScalingRules, ATypeOfItsOwnComesBeforeItsFamily) {
  const ScaledErrors near = rules().distances.at("near");
  EXPECT_DOUBLE_EQ(find_scaled_error(near, "moe", "fp8")->spread.high, 4);
  EXPECT_DOUBLE_EQ(find_scaled_error(near, "moe", "bf16")->spread.high, 2);
  EXPECT_EQ(find_scaled_error(near, "gemm", "bf16"), nullptr);
}

// Own 0.8 to 1.1 against the rule's 0.9 to 1.2: the wider of each side. Memory a quarter as fast, arithmetic
// four times: half of either ratio (in logarithms) may not be followed, so 0.8 x 4^-0.5 and 1.2 x 4^0.5.
TEST(ScalingRules, IntervalIsTheWiderOneAndWhatRatiosMayNotDo) {
  const ScaledError error{{0.9, 1.2}, 0.5, Grade::fitted, "s"};
  const Spread spread = scaled_spread({0.8, 1.1}, error, 4, 0.25);
  EXPECT_DOUBLE_EQ(spread.low, 0.4);
  EXPECT_DOUBLE_EQ(spread.high, 2.4);
  const Spread same = scaled_spread({0.8, 1.1}, error, 1, 1);
  EXPECT_DOUBLE_EQ(same.low, 0.8);
  EXPECT_DOUBLE_EQ(same.high, 1.2);
}

TEST(ScalingRules, BadFilesSayWhere) {
  EXPECT_THAT(message([] { rules(edited("[0.5, 2]", "[1.5, 2]")); }),
              HasSubstr("distances.near.families.moe.spread: found [1.5,2], expected [low, high]"));
  EXPECT_THAT(message([] { rules(edited("\"unfollowed\": 0.5", "\"unfollowed\": 1.5")); }),
              HasSubstr("distances.near.families.moe.unfollowed"));
  EXPECT_THAT(message([] { rules(edited("scaling rules", "operator rules")); }),
              HasSubstr("format: found \"sextant operator rules\", expected \"sextant scaling rules\""));
  EXPECT_THAT(message([] { rules(edited("\"meaning\": \"m\", ", "")); }), HasSubstr("meaning"));
}

// Every scaled card that we ship says how far it is believed, so that each family is at least as wide as the
// rule of its distance, and carries the weak grade.
TEST(ScalingRules, ShippedScaledProfilesAreAsWideAsTheirRule) {
  unsetenv("SEXTANT_PROFILES");
  for (const char* name :
       {"a100-pcie", "a100-sxm-40gb", "b300-sxm", "gb200", "gb300", "h100-nvl", "h100-pcie", "rtx-6000-ada",
        "rtx-5090", "rtx-pro-6000-max-q", "rtx-pro-6000-workstation"}) {
    const GpuProfile profile = find_gpu_profile(name);
    const ScaledErrors& rule = shipped_scaling_rules().distances.at("same_chip");
    EXPECT_LE(profile.gemm.at("bf16").spread.low, rule.at("gemm").spread.low) << name;
    EXPECT_GE(profile.gemm.at("bf16").spread.high, rule.at("gemm").spread.high) << name;
    for (const auto& [key, model] : profile.attention_decode)
      EXPECT_GE(model.grade, Grade::scaled) << name << " " << key;
  }
  EXPECT_LE(find_gpu_profile("dgx-spark-gb10").gemm.at("fp8").spread.low, 0.5);
}

TEST(ScalingRules, UnknownDistanceAndNoneAreErrors) {
  const auto read = [](const std::string& belief) {
    return read_gpu_profile(JsonValue::parse(
        R"({"format": "sextant gpu profile", "version": 1, "gpu": "new", "scaled_from": "l40s",
          "provenance": "p", "scale": {"tensor": {"value": 1, "grade": "datasheet", "source": "s"},
          "memory": {"value": 1, "grade": "datasheet", "source": "s"},
          "latency": {"value": 1, "grade": "scaled", "source": "s"}})" +
            belief + "}",
        "f"));
  };
  EXPECT_THAT(message([&] { read(R"(, "distance": "nearby")"); }),
              HasSubstr("f: distance: found \"nearby\", expected one of other_chip, same_chip"));
  EXPECT_THAT(message([&] { read(""); }), HasSubstr("found neither distance nor spread_widening"));
}

}  // namespace
}  // namespace sextant
