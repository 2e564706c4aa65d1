#include "models/profile/power.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Figure figure(double value) {
  return {value, Grade::fitted, "toy", ""};
}

/// 50 W static, 60 W of memory at its full rate from 1000 MHz, 0.25 and 0.05 W per MHz at a voltage that does
/// not change; 500 to 2000 MHz; 150 to 600 W, 450 by default.
PowerModel toy() {
  PowerModel model;
  model.gpu = "toy";
  model.static_watts = figure(50);
  model.memory_watts = figure(60);
  model.tensor_watts_per_mhz = figure(0.25);
  model.stream_watts_per_mhz = figure(0.05);
  model.voltage_slope_per_ghz = figure(0);
  model.reference_mhz = 1000;
  model.lowest_clock_mhz = figure(500);
  model.highest_clock_mhz = figure(2000);
  model.stream_saturation_mhz = figure(1000);
  model.lowest_watts = figure(100);
  model.default_watts = figure(450);
  model.highest_watts = figure(600);
  model.tensor_spread = {0.95, 1.02};
  model.stream_spread = {0.98, 1.04};
  return model;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// 50 + 0.25 x 1000 = 300 W; 50 + 60 + 0.05 x 1000 = 160 W; half the clock, half the memory's rate:
// 50 + 30 + 25 = 105 W.
TEST(Power, WattsOfAClock) {
  EXPECT_DOUBLE_EQ(watts(toy(), 1000, Work::tensor), 300);
  EXPECT_DOUBLE_EQ(watts(toy(), 1000, Work::stream), 160);
  EXPECT_DOUBLE_EQ(watts(toy(), 500, Work::stream), 105);
}

// At 2000 MHz the voltage is 1 + 0.4 x 1 = 1.4: 50 + 0.25 x 2000 x 1.96 = 1030 W.
TEST(Power, VoltageCountsTwice) {
  PowerModel model = toy();
  model.voltage_slope_per_ghz = figure(0.4);
  EXPECT_DOUBLE_EQ(watts(model, 2000, Work::tensor), 1030);
  EXPECT_DOUBLE_EQ(watts(model, 1000, Work::tensor), 300) << "1 at the reference";
}

// (300 - 50) / 0.25 = 1000 MHz. Streaming draws at most 50 + 60 + 0.05 x 2000 = 210 W: no limit above binds.
TEST(Power, ClockUnderALimit) {
  EXPECT_NEAR(clock_mhz(toy(), 300, Work::tensor), 1000, 1e-3);
  EXPECT_DOUBLE_EQ(clock_mhz(toy(), 300, Work::stream), 2000);
  EXPECT_DOUBLE_EQ(watts_under(toy(), 300, Work::stream), 210);
  EXPECT_NEAR(watts_under(toy(), 300, Work::tensor), 300, 1e-3);
}

// 450 W: 1600 MHz. 300 W: 1000, 0.625 of it. 112.5 W: the lowest clock would draw 50 + 125 = 175 W; half of
// the 125 W are left, so half of 500 MHz: 250 / 1600.
TEST(Power, TensorBoundWorkFollowsTheClock) {
  EXPECT_NEAR(relative_speed(toy(), 300, Work::tensor), 0.625, 1e-6);
  EXPECT_NEAR(relative_speed(toy(), 112.5, Work::tensor), 250.0 / 1600, 1e-6);
  EXPECT_NEAR(relative_speed(toy(), 300, Work::tensor, 175), 2, 1e-6) << "500 MHz";
}

// 160 W is what the saturated memory needs at 1000 MHz; below, each MHz takes 0.05 + 0.06 W: at 127 W 700
// MHz.
TEST(Power, StreamingBarelyMovesUntilTheClockIsTooSlow) {
  EXPECT_DOUBLE_EQ(relative_speed(toy(), 300, Work::stream), 1);
  EXPECT_NEAR(relative_speed(toy(), 160, Work::stream), 1, 1e-6);
  EXPECT_NEAR(relative_speed(toy(), 127, Work::stream), 0.7, 1e-6);
}

GpuProfile toy_profile() {
  GpuProfile profile;
  profile.gpu = "toy";
  profile.provenance = "made up";
  OperatorModel model;
  model.grade = Grade::fitted;
  model.source = "toy table";
  model.roofline = {100, 1000, 2};
  model.spread = {0.9, 1.1};
  profile.gemm["bf16"] = profile.elementwise = model;
  profile.power = toy();
  return profile;
}

// 127 W: arithmetic by the clock of tensor-bound work, (127 - 50) / 125 x 500 = 308 of 1600 MHz; memory 0.7;
// latency by the clock of streaming work, 700 of 2000 MHz. Speeds 0.95 to 1.04 of those predicted: times
// 0.9 / 1.04 to 1.1 / 0.95.
TEST(Power, ProfileUnderALimit) {
  const GpuProfile profile = at_power_limit(toy_profile(), 127);
  const OperatorModel& gemm = profile.gemm.at("bf16");
  EXPECT_NEAR(gemm.roofline.tflops, 100 * 308.0 / 1600, 1e-3);
  EXPECT_NEAR(gemm.roofline.memory_gbps, 700, 1e-3);
  EXPECT_NEAR(gemm.roofline.latency_us, 2 / 0.35, 1e-3);
  EXPECT_NEAR(gemm.spread.low, 0.9 / 1.04, 1e-9);
  EXPECT_NEAR(gemm.spread.high, 1.1 / 0.95, 1e-9);
  EXPECT_EQ(gemm.grade, Grade::scaled);
  EXPECT_THAT(gemm.source, HasSubstr("at 127 W"));
  EXPECT_NEAR(profile.elementwise.roofline.memory_gbps, 700, 1e-3);
  EXPECT_THAT(profile.provenance, HasSubstr("at 127 W"));
}

TEST(Power, DefaultLimitChangesNothing) {
  EXPECT_EQ(write_gpu_profile(at_power_limit(toy_profile(), 450)), write_gpu_profile(toy_profile()));
}

TEST(Power, RefusesWhatTheCardCannotBeSetTo) {
  EXPECT_EQ(error_of([] { at_power_limit(toy_profile(), 601); }),
            "found a power limit of 601 W for toy, expected 100 to 600");
  GpuProfile without = toy_profile();
  without.power.reset();
  EXPECT_EQ(error_of([&] { at_power_limit(without, 300); }),
            "found a power limit of 300 W for toy, expected none: it has no power model");
}

TEST(PowerFile, WhatIsWrittenIsRead) {
  const std::string text = write_power_models({toy()}, "toy");
  const auto read = read_power_models(JsonValue::parse(text, "power.json"));
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(write_power_models(read, "toy"), text);
  const std::string profile = write_gpu_profile(toy_profile());
  GpuProfile again = toy_profile();
  again.power = read_power_model(JsonValue::parse(profile, "p").object().at("power"), "toy");
  EXPECT_EQ(write_gpu_profile(again), profile) << "a GPU profile may hold its own";
}

std::string error_after(const std::string& key, const nlohmann::ordered_json& value) {
  auto json = power_model_json(toy());
  json[key] = value;
  return error_of([&] { read_power_model(JsonValue::parse(json.dump(), "p.json"), "toy"); });
}

TEST(PowerFile, BadInputIsNamed) {
  EXPECT_THAT(error_after("statik_watts", 3), HasSubstr("found the unknown key 'statik_watts'"));
  EXPECT_THAT(error_after("static_watts", {{"value", -1}, {"grade", "fitted"}, {"source", "s"}}),
              HasSubstr("p.json: static_watts.value"));
  EXPECT_THAT(error_after("lowest_watts", {{"value", 500}, {"grade", "fitted"}, {"source", "s"}}),
              HasSubstr("found the lowest limit above the highest"));
  EXPECT_THAT(error_after("voltage_slope_per_ghz", {{"value", 2.5}, {"grade", "fitted"}, {"source", "s"}}),
              HasSubstr("no voltage left at the lowest clock"));
}

TEST(PowerFile, ShippedModels) {
  EXPECT_TRUE(find_power_model("rtx-pro-6000-workstation").has_value());
  EXPECT_FALSE(find_power_model("rtx-5090").has_value());
  EXPECT_EQ(find_gpu_profile("rtx-pro-6000-max-q").power->gpu, "rtx-pro-6000-max-q")
      << "its own, not that of the card it was scaled from";
}

// 80 % of the clock: arithmetic at 0.8, kernels' latency by 1 / 0.8. Streaming work draws 50 + 60 + 0.05 x
// 2000 = 210 W, under its 450: it runs at 2000 MHz, 1600 saturate the memory (1000) as well. 40 % are 800
// MHz: the memory gives 0.8. A card without a power model keeps its memory at any clock.
TEST(Clock, ArithmeticFollowsItMemoryUpToSaturation) {
  GpuProfile profile;
  profile.gpu = "toy";
  OperatorModel gemm;
  gemm.grade = Grade::measured;
  gemm.roofline = {100, 1000, 4};
  profile.gemm["bf16"] = gemm;
  profile.power = toy();
  const Roofline slow = at_clock(profile, 0.8).gemm.at("bf16").roofline;
  EXPECT_DOUBLE_EQ(slow.tflops, 80);
  EXPECT_DOUBLE_EQ(slow.memory_gbps, 1000);
  EXPECT_DOUBLE_EQ(slow.latency_us, 5);
  EXPECT_EQ(at_clock(profile, 0.8).gemm.at("bf16").grade, Grade::scaled);
  EXPECT_NEAR(at_clock(profile, 0.4).gemm.at("bf16").roofline.memory_gbps, 800, 1e-6);
  profile.power.reset();
  EXPECT_DOUBLE_EQ(at_clock(profile, 0.4).gemm.at("bf16").roofline.memory_gbps, 1000);
  EXPECT_THAT(error_of([&] { at_clock(profile, 1.5); }), HasSubstr("found a clock of 1.5"));
}

// Work of 1,060 W above 100 idle, with the square of the clock: at 0.8 of it 100 + 960 x 0.64 = 714.4 W,
// which a limit of 700 holds back by (600 / 614.4)^(1/2) = 0.988212 only, where it took 0.790569 of the full
// clock.
TEST(Clock, WhatIsSlowerDrawsLess) {
  GpuProfile profile;
  profile.gpu = "toy";
  profile.load.emplace();
  profile.load->limit_watts = 700;
  profile.load->idle_watts = 100;
  profile.load->clock_exponent = 2;
  profile.load->works["gemm/bf16"] = {{1}, {1060}, {1}};
  const LoadModel slow = *at_clock(profile, 0.8).load;
  EXPECT_NEAR(slow.works.at("gemm/bf16").watts.front(), 714.4, 1e-9);
  EXPECT_NEAR(relative_clock(slow, slow.works.at("gemm/bf16").watts.front()), 0.988212, 1e-6);
}

}  // namespace
}  // namespace sextant
