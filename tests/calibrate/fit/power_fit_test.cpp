#include "calibrate/fit/power_fit.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/fit/power_curve_fit.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

/// 40 W static, 0.2 W per MHz at 1500 MHz, voltage rising by 0.3 of that a GHz.
double true_watts(double clock) {
  return 40 + 0.2 * detail::dynamic_shape(clock, 0.3, 1500);
}

// 1500 MHz at the reference voltage; 2500 MHz at 1.3 times it: 2500 x 1.69.
TEST(PowerCurveFit, ShapeOfTheDynamicPart) {
  EXPECT_DOUBLE_EQ(detail::dynamic_shape(1500, 0.3, 1500), 1500);
  EXPECT_DOUBLE_EQ(detail::dynamic_shape(2500, 0.3, 1500), 4225);
}

TEST(PowerCurveFit, FindsTheCurveThatMadeThePoints) {
  std::vector<detail::ClockPoint> points;
  for (double clock = 700; clock <= 2000; clock += 150)
    points.push_back({true_watts(clock), true_watts(clock), clock});
  const detail::CurveFit fit = detail::fit_curve(points, 1500);
  EXPECT_NEAR(fit.static_watts, 40, 0.1);
  EXPECT_NEAR(fit.watts_per_mhz, 0.2, 1e-4);
  EXPECT_NEAR(fit.slope_per_ghz, 0.3, 1e-3);
  EXPECT_NEAR(fit.clock(true_watts(1234), 1500), 1234, 0.1);
  EXPECT_NEAR(detail::left_out_clock(points, points[3], 1500), points[3].clock, 0.5);
}

Measurement row(const std::string& gpu, double limit, const std::string& work, double speed,
                std::optional<double> clock = {}, std::optional<double> watts = {}) {
  PowerRow power;
  power.watts_limit = limit;
  power.work = work;
  power.relative_speed = speed;
  power.clock_mhz = clock;
  power.watts = watts;
  return {gpu, "made up", "", power};
}

PowerRules rules() {
  PowerRules result;
  result.memory_watts = {80, Grade::assumed, "toy", ""};
  result.same_curve["rtx-pro-6000-max-q"] = {"rtx-pro-6000-server", "toy"};
  return result;
}

/// Tensor-bound clocks from 700 MHz up, one row at 600 MHz that skips half of its cycles.
PowerFit workstation_clocks() {
  PowerFit fit;
  for (double clock = 700; clock <= 1900; clock += 200)
    fit.add(row("rtx-pro-6000-workstation", true_watts(clock), "tensor", clock / 1900, clock));
  fit.add(row("rtx-pro-6000-workstation", 150, "tensor", 0.5 * 600 / 1900, 600));
  return fit;
}

// A copy at 2500 MHz, 4225 MHz at the reference voltage, that draws 40 + 80 + 0.05 x 4225 = 331.25 W. Under
// 200 W streaming work then keeps a clock of its own; its measured speed, 0.9, says where it saturates.
TEST(PowerFit, WorkstationOfMadeUpRows) {
  PowerFit fit = workstation_clocks();
  fit.add(row("rtx-pro-6000-workstation", 600, "copy", 1, 2500, 331.25));
  fit.add(row("rtx-pro-6000-workstation", 200, "stream", 0.9));
  const std::vector<PowerModel> models = fit.fit(rules());
  ASSERT_EQ(models.size(), 1u);
  EXPECT_NEAR(models[0].static_watts.value, 40, 0.1);
  EXPECT_NEAR(models[0].stream_watts_per_mhz.value, 0.05, 1e-3);
  EXPECT_EQ(models[0].stream_watts_per_mhz.grade, Grade::assumed) << "the memory's watts are";
  EXPECT_DOUBLE_EQ(models[0].lowest_clock_mhz.value, 600);
  EXPECT_NEAR(relative_speed(models[0], 200, Work::stream), 0.9, 1e-4);
  EXPECT_DOUBLE_EQ(models[0].default_watts.value, 600) << "from the catalogue";
}

// A Server with four clocks of its own, no copy and no stream: streaming switches the Workstation's share,
// and the Max-Q is the Server's curve under its own limits.
TEST(PowerFit, WhatAGpuLacksIsScaled) {
  PowerFit fit = workstation_clocks();
  fit.add(row("rtx-pro-6000-workstation", 600, "copy", 1, 2500, 331.25));
  fit.add(row("rtx-pro-6000-workstation", 200, "stream", 0.9));
  for (double clock = 1200; clock <= 1800; clock += 200)
    fit.add(row("rtx-pro-6000-server", true_watts(clock), "tensor", clock / 1800, clock));
  const std::vector<PowerModel> models = fit.fit(rules());
  ASSERT_EQ(models.size(), 3u);
  const PowerModel &server = models[0], &max_q = models[2];
  EXPECT_EQ(server.gpu, "rtx-pro-6000-server");
  EXPECT_NEAR(server.stream_watts_per_mhz.value, 0.05, 1e-3);
  EXPECT_DOUBLE_EQ(server.lowest_clock_mhz.value, 600);
  EXPECT_EQ(server.lowest_clock_mhz.grade, Grade::scaled);
  EXPECT_EQ(max_q.gpu, "rtx-pro-6000-max-q");
  EXPECT_EQ(max_q.static_watts.grade, Grade::scaled);
  EXPECT_DOUBLE_EQ(max_q.default_watts.value, 300);
  EXPECT_DOUBLE_EQ(max_q.voltage_slope_per_ghz.value, server.voltage_slope_per_ghz.value);
}

std::string error_of(const PowerFit& fit) {
  try {
    fit.fit(rules());
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(PowerFit, SaysWhatIsMissing) {
  EXPECT_EQ(error_of(PowerFit()), "found no row of kind power, expected some");
  PowerFit few;
  few.add(row("rtx-pro-6000-workstation", 300, "tensor", 0.5, 1000));
  EXPECT_EQ(error_of(few),
            "found 1 clocks of tensor-bound work on rtx-pro-6000-workstation, expected at least 4");
  EXPECT_THAT(error_of(workstation_clocks()), HasSubstr("rows of work copy and stream"));
  PowerFit unknown;
  unknown.add(row("rtx-5090", 300, "tensor", 0.5, 1000));
  EXPECT_THAT(error_of(unknown), HasSubstr("found no power limits or no highest clock of rtx-5090"));
}

TEST(PowerFit, ReportNamesEachPoint) {
  PowerFit fit = workstation_clocks();
  fit.add(row("rtx-pro-6000-workstation", 600, "copy", 1, 2500, 331.25));
  fit.add(row("rtx-pro-6000-workstation", 200, "stream", 0.9));
  const auto points = fit.points(fit.fit(rules()), rules());
  EXPECT_EQ(points.size(), 7u + 8u + 1u) << "clocks that skip nothing, tensor speeds, stream speeds";
  EXPECT_THAT(power_report_text(points), HasSubstr("stream, speed"));
}

}  // namespace
}  // namespace sextant
