#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <filesystem>

#include "calibrate/fit/gpu_fit.hpp"
#include "calibrate/fit/grid_fit.hpp"
#include "calibrate/fit/link_fit.hpp"
#include "calibrate/fit/operator_fit.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

/// A GPU of 100 TFLOP/s, 1000 GB/s and 2 us a kernel, whose GEMMs reach both: times by the formula itself.
double true_us(const FitSample& sample) {
  return 2 + std::max(sample.work.flops / 100e6, sample.work.bytes / 1e6);
}

/// bf16 GEMMs over a grid; `change` may alter each time.
template <class Change>
std::vector<FitSample> synthetic_gemms(Change&& change) {
  std::vector<FitSample> samples;
  for (std::int64_t m = 1; m <= 8192; m *= 2)
    for (std::int64_t n = 64; n <= 32768; n *= 2)
      for (std::int64_t k = 64; k <= 32768; k *= 2) {
        FitSample sample = sample_of(GemmRow{"bf16", m, n, k, 1});
        sample.us = change(sample, true_us(sample));
        samples.push_back(sample);
      }
  return samples;
}

OperatorFitOptions gemm_options() {
  OperatorFitOptions options;
  options.family = "gemm bf16";
  options.axes = {{4}, {4}, {4}};  // a point of the grid at every other value or so
  options.l2_bytes = 32e6;
  options.folds = 0;
  return options;
}

TEST(OperatorFit, RecoversTheRooflineItWasMadeFrom) {
  FitReportLine line;
  const OperatorModel model =
      fit_operator(synthetic_gemms([](const FitSample&, double us) { return us; }), gemm_options(), line);
  // The latency is taken at 0.8 of the smallest kernel (2 us): 1.6 us; large rows hide the missing 0.4 us.
  EXPECT_NEAR(model.roofline.latency_us, 1.6, 0.02);
  EXPECT_NEAR(model.roofline.tflops, 100, 1);
  EXPECT_NEAR(model.roofline.memory_gbps, 1000, 10);
  EXPECT_LT(line.fitted.median, 0.01);
  EXPECT_NEAR(line.fitted.bias, 0, 0.005);
  EXPECT_EQ(model.grade, Grade::fitted);
}

TEST(OperatorFit, RaisesRowsThatTheL2MadeFast) {
  // Weights below 32 MB at ten times the memory's rate.
  std::size_t fast = 0;
  const auto samples = synthetic_gemms([&](const FitSample& sample, double us) {
    const double cached = 2 + std::max(sample.work.flops / 100e6, sample.work.bytes / 10e6);
    if (sample.work.streamed_bytes >= 32e6 || cached > 0.9 * us) return us;
    ++fast;
    return cached;
  });
  FitReportLine line;
  const OperatorModel model = fit_operator(samples, gemm_options(), line);
  EXPECT_NEAR(model.roofline.memory_gbps, 1000, 10);
  // A row that was 10 % or more faster is below 1.6 us + its bytes unless the 0.4 us of latency make the
  // difference.
  EXPECT_GT(line.floored, fast / 2);
  // 4096 x 2048 bf16 = 16.8 MB, one row: 16.8 us of streaming, where the L2 promised 1.7 us.
  const double efficiency = model.efficiency.at(std::vector<double>{1, 4096, 2048});
  EXPECT_LE(efficiency, 1.02);
}

// Of every seven numbers of rows one took 1.2 times as long, in each shape another: the grid knows nothing of
// it, the slow state says a seventh and 1.2. At 8 rows and 4096 x 4096 the memory takes 33.55 + 0.13 us, so
// the efficiency is 1, not 0.83 as where that row alone had been believed.
TEST(OperatorFit, TellsTheSlowStateFromTheShape) {
  std::vector<FitSample> samples;
  for (std::int64_t m = 1; m <= 64; m += m < 16 ? 1 : 8)
    for (std::int64_t n = 1024; n <= 32768; n *= 2)
      for (std::int64_t k = 1024; k <= 32768; k *= 2) {
        FitSample sample = sample_of(GemmRow{"bf16", m, n, k, 1});
        const auto shape = std::lround(std::log2(n) + 2 * std::log2(k));
        sample.us = true_us(sample) * (m < 1024 && m % 7 == shape % 7 ? 1.2 : 1);
        samples.push_back(sample);
      }
  for (const FitSample& sample : synthetic_gemms([](const FitSample&, double us) { return us; }))
    if (sample.work.point.values[0] > 64) samples.push_back(sample);
  OperatorFitOptions options = gemm_options();
  options.axes = {{1}, {1}, {1}};
  options.most_values = 100'000;
  options.alike_below = 64;
  FitReportLine line;
  const OperatorModel model = fit_operator(samples, options, line);
  EXPECT_NEAR(model.slow_state.time, 1.2, 0.02);
  EXPECT_NEAR(model.slow_state.share, 1 / 7.0, 0.03);
  const auto at = [](const OperatorModel& fitted, double m) {
    return fitted.efficiency.at(std::vector<double>{m, 4096, 4096});
  };
  const double slow_row = 36 % 7 == 1 ? 8 : 36 % 7;  // log2: 12 + 2 x 12
  EXPECT_NEAR(at(model, slow_row), 1, 0.03);
  options.alike_below = 0;
  const OperatorModel believing = fit_operator(samples, options, line);
  EXPECT_EQ(believing.slow_state.share, 0);
  EXPECT_LT(at(believing, slow_row), 0.9);
}

TEST(OperatorFit, SpreadFollowsTheNoise) {
  // +- 2 % alternating by a fixed pseudo-random rule: nine in ten of true / predicted lie within about 2 to 4
  // %.
  std::uint64_t state = 1;
  const auto samples = synthetic_gemms([&](const FitSample&, double us) {
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return us * ((state >> 63) != 0U ? 1.02 : 0.98);
  });
  FitReportLine line;
  const OperatorModel model = fit_operator(samples, gemm_options(), line);
  EXPECT_GT(model.spread.high, 1.005);
  EXPECT_LT(model.spread.high, 1.05);
  EXPECT_LT(model.spread.low, 0.995);
  EXPECT_GT(model.spread.low, 0.95);
}

TEST(OperatorFit, SpreadIsThatOfShapesLeftOut) {
  // Each width n has its own speed, 0.8 or 1.25 of the formula in turn, and is a point of the grid: rows of
  // the fit are met exactly, while a width left out is taken for the mean of its neighbours, 1.5625 off
  // between the two at worst.
  OperatorFitOptions options = gemm_options();
  options.axes = {{4}, {1}, {1}};
  const auto samples = synthetic_gemms([](const FitSample& sample, double us) {
    const auto power =
        std::lround(std::log2(sample.work.point.values[1]) + std::log2(sample.work.point.values[2]));
    return us * (power % 2 == 0 ? 0.8 : 1.25);
  });
  options.folds = 5;
  FitReportLine line;
  const OperatorModel model = fit_operator(samples, options, line);
  EXPECT_GT(line.held_out.high, line.fitted.high + 0.05);
  EXPECT_EQ(model.spread.high, line.held_out.high);
  EXPECT_EQ(model.spread.low, line.held_out.low);
  EXPECT_EQ(*model.median_error, line.held_out.median);
  // The same errors apart by duration: every row of serving size stands in one region.
  std::int64_t rows = 0, serving = 0;
  for (const RegionError& region : model.cross_validation) rows += region.rows;
  for (const FitSample& sample : samples) serving += sample.serving ? 1 : 0;
  EXPECT_EQ(rows, serving);
}

TEST(OperatorFit, FillsAHoleFromTheStiffestDirection) {
  // Speeds 1 and 2 at n = 1024 and 4096, whatever k; the shape (2048, 2048) is left out by giving it no row.
  // Along k its neighbours are (2048, 1024) and (2048, 4096), both measured at 1.9; along n it would be 1.4.
  std::vector<GridSample> samples;
  const double speed[3] = {1, 1.9, 2}, width[3] = {1024, 2048, 4096};
  for (int n = 0; n < 3; ++n)
    for (int k = 0; k < 3; ++k)
      if (n != 1 || k != 1) samples.push_back({{{width[n], width[k]}, 2}, speed[n], 1});
  const Axes axes = {{1024, 2048, 4096}, {1024, 2048, 4096}};
  const std::array hole = {2048.0, 2048.0};
  EXPECT_NEAR(fit_grid({axes, {0.01, 1}}, samples).at(hole), 1.9, 0.02);
  EXPECT_NEAR(fit_grid({axes, {1, 0.01}}, samples).at(hole), std::sqrt(2.0), 0.02);
}

TEST(OperatorFit, ThinningKeepsTheStep) {
  // Along the axis the value is 1 up to 64 and 2 from 65 on: of six points the four ends and step sides say
  // it all, and a fit on them is exact; 8 and 512 are the ones to go.
  const std::vector<double> axis = {1, 8, 64, 65, 512, 4096};
  std::vector<GridSample> samples;
  for (const double x : axis) samples.push_back({{{x}, 1}, x < 64.5 ? 1.0 : 2.0, 1});
  const GridShape shape{{axis}, {1}};
  const GridShape thin = thinned(shape, fit_grid(shape, samples), samples, 4);
  EXPECT_EQ(thin.axes[0], (std::vector<double>{1, 64, 65, 4096}));
  EXPECT_EQ(thinned(shape, fit_grid(shape, samples), samples, 1).axes[0], (std::vector<double>{1, 4096}));
}

TEST(OperatorFit, RefusesTooFewRows) {
  FitReportLine line;
  EXPECT_THROW(fit_operator({}, gemm_options(), line), InputError);
}

GridSample at(double x, double value) {
  return {{{x}, 1}, value, 1};
}

TEST(GridFit, MeetsSamplesAndContinuesThemWhereThereAreNone) {
  // Value x between 1 and 4 (linear in the logarithm); at 16 nothing was seen: its only neighbour's value, 4.
  const Grid grid = fit_grid({{{1, 4, 16}}, {1}}, {at(1, 1), at(2, 2), at(4, 4)});
  EXPECT_NEAR(grid.at(std::vector<double>{2}), 2, 0.01);
  EXPECT_NEAR(grid.at(std::vector<double>{16}), 4, 0.05);
}

TEST(GridFit, KeepsAStepBetweenNeighbouringPoints) {
  // One more row needs another tile: 1 at 64, 2 at 65. Both are points of the grid, so both must come back.
  const Grid grid = fit_grid({{{1, 64, 65, 1024}}, {1}}, {at(1, 1), at(64, 1), at(65, 2), at(1024, 2)});
  EXPECT_NEAR(grid.at(std::vector<double>{64}), 1, 0.02);
  EXPECT_NEAR(grid.at(std::vector<double>{65}), 2, 0.04);
}

TEST(GridFit, IsNotMovedByAnOutlier) {
  std::vector<GridSample> samples(9, at(1, 2));
  samples.push_back(at(1, 20));  // the median of nine 2 and one 20 is 2, their geometric mean 2.5
  EXPECT_NEAR(fit_grid({{{1}}, {1}}, samples).at(std::vector<double>{1}), 2, 0.01);
}

TEST(SampleOf, CountsAsTheCostFormulaDoes) {
  // 2 x 16 x 8192 x 4096 FLOP; 16 x 4096 x 2 B in, 8192 x 4096 x 2 B of weights, 16 x 8192 x 2 B out.
  const FitSample gemm = sample_of(GemmRow{"bf16", 16, 8192, 4096, 1});
  EXPECT_DOUBLE_EQ(gemm.work.flops, 1073741824);
  EXPECT_DOUBLE_EQ(gemm.work.bytes, 131072 + 67108864 + 262144);
  // 32 sequences x 8 heads x 128 x 2048 tokens x 2 (keys, values) x 1 B = 134 MB; queries and outputs 2 x 32
  // x 32 x 128 x 2 B.
  AttentionDecodeRow decode;
  decode.heads = 32, decode.kv_heads = 8, decode.head_dim = 128, decode.batch = 32, decode.context = 2048;
  decode.dtype = "bf16", decode.kv_dtype = "fp8", decode.us = 1;
  EXPECT_DOUBLE_EQ(sample_of(decode).work.bytes, 134217728 + 524288);
  EXPECT_EQ(sample_of(decode).work.point.values, (std::array{32.0, 2048.0, 8.0, 4.0}));
  // Four tokens after none: each sees 1, 2, 3, 4: 10 pairs, mean 2.5; two whole prompts; 16 heads, 16 / 8.
  AttentionPrefillRow prefill;
  prefill.heads = 16, prefill.kv_heads = 8, prefill.head_dim = 128, prefill.batch = 2, prefill.new_tokens = 4;
  prefill.dtype = prefill.kv_dtype = "bf16", prefill.us = 1;
  EXPECT_DOUBLE_EQ(sample_of(prefill).work.flops, 4.0 * 16 * 128 * 10 * 2);
  EXPECT_EQ(sample_of(prefill).work.point.values, (std::array{2.5, 2.0, 16.0, 2.0}));
  // One chunk of 4 after 6 cached: pairs 7 + 8 + 9 + 10 = 34, mean 8.5, the mean of a whole prompt of 16; its
  // 4 tokens are a quarter of that prompt, as one prompt of a quarter of the 16 heads would be.
  prefill.batch = 1, prefill.past_tokens = 6;
  EXPECT_EQ(sample_of(prefill).work.point.values, (std::array{8.5, 1.0, 4.0, 2.0}));
}

Measurement collective(const std::string& op, int ranks, double bytes, double us,
                       const std::string& impl = "nccl") {
  CollectiveRow row;
  row.op = op, row.ranks = ranks, row.link = "pcie", row.bytes = bytes, row.us = us, row.dtype = "fp16",
  row.impl = impl;
  return {"g", "table", impl == "custom" ? "kernel of engine 1" : "", row};
}

/// A custom kernel is used up to 8 kB and, over PCIe, by two ranks; curves are believed to 10 %.
Assumptions rules() {
  Assumptions rules;
  rules.link.curve = {{1, Grade::assumed, "", ""}, 0.9, 1.1};
  rules.link.send_from_both_ways = {{1, Grade::assumed, "", ""}, 0.7, 1.1};
  rules.custom_all_reduce.largest_bytes.value = 8000;
  rules.custom_all_reduce.most_pcie_ranks.value = 2;
  return rules;
}

TEST(LinkFit, SendsHalfOfATwoRankAllToAll) {
  LinkFit fit({"p", "pcie", 63, "by hand", "fp16"});
  fit.add(collective("all_to_all", 2, 1000, 10));
  fit.add(collective("all_to_all", 2, 4000, 20));
  fit.add(collective("all_reduce", 4, 1000, 30));
  fit.add(collective("all_reduce", 4, 1000, 5, "custom"));  // another implementation: not NCCL's
  const LinkProfile profile = fit.fit(rules());
  EXPECT_EQ(profile.send.spread.low, 0.7);
  EXPECT_EQ(profile.send.bytes, (std::vector<double>{500, 2000}));
  EXPECT_EQ(profile.send.us, (std::vector<double>{10, 20}));
  EXPECT_NE(profile.send.source.find("lower bound"), std::string::npos);
  ASSERT_NE(profile.collective("all_reduce", 4), nullptr);
  EXPECT_EQ(profile.collective("all_reduce", 4)->us, std::vector<double>{30});
}

// Of the harness's rows a curve takes NCCL's own choices from graphs, one way: 5 us of 1 KiB; bf16 counts as
// fp16.
TEST(LinkFit, LeavesForcedHostLaunchedAndBothWaysRowsOut) {
  LinkFit fit({"n", "nvlink", 450, "by hand", "fp16"});
  const auto p2p = [&](double us, bool both_ways, bool graph, int channels) {
    PointToPointRow row;
    row.link = "nvlink";
    row.bytes = 1024;
    row.us = us;
    row.both_ways = both_ways;
    row.graph = graph;
    row.channels = channels;
    fit.add({"g", "s", "", row});
  };
  p2p(5, false, true, 0);
  p2p(50, true, true, 0);
  p2p(60, false, false, 0);
  p2p(70, false, true, 2);
  const auto collective = [&](double us, const std::string& algo, bool in_place) {
    CollectiveRow row;
    row.op = "all_reduce";
    row.ranks = 2;
    row.link = "nvlink";
    row.bytes = 1024;
    row.us = us;
    row.dtype = "bf16";
    row.impl = "nccl";
    row.algo = algo;
    row.graph = true;
    row.in_place = in_place;
    fit.add({"g", "s", "", row});
  };
  collective(10, "", false);
  collective(99, "Ring", false);
  collective(98, "", true);
  const LinkProfile profile = fit.fit(shipped_assumptions());
  EXPECT_EQ(profile.send.us, std::vector<double>{5});
  ASSERT_EQ(profile.collectives.size(), 1u);
  EXPECT_EQ(profile.collectives[0].curve.us, std::vector<double>{10});
}

TEST(LinkFit, SaysWhichAllReduceTheSwitchDid) {
  // 8 ranks, 1e9 B in 2000 us: 500 GB/s x 14 / 8 = 875 GB/s on a line of 450; in 4000 us 437.5 GB/s, a ring
  // can.
  for (const auto& [us, in_switch] : {std::pair{2000.0, true}, std::pair{4000.0, false}}) {
    LinkFit fit({"n", "pcie", 450, "by hand", "fp16"});
    fit.add(collective("all_to_all", 2, 1000, 10));
    fit.add(collective("all_reduce", 8, 1e9, us));
    const LinkProfile profile = fit.fit(rules());
    EXPECT_EQ(profile.collective("all_reduce", 8)->source.find("NVLS") != std::string::npos, in_switch);
  }
}

TEST(LinkFit, KeepsCustomCurvesWhereAnEngineUsesThem) {
  LinkFit fit({"p", "pcie", 63, "by hand", "fp16"});
  fit.add(collective("all_to_all", 2, 1000, 10));
  for (const int ranks : {2, 4}) {
    fit.add(collective("all_reduce", ranks, 1000, 5, "custom"));
    fit.add(collective("all_reduce", ranks, 8000, 9, "custom"));
    fit.add(collective("all_reduce", ranks, 9000, 11, "custom"));  // beyond the engine's 8000 B
  }
  const LinkProfile profile = fit.fit(rules());
  ASSERT_NE(profile.custom("all_reduce", 2), nullptr);
  EXPECT_EQ(profile.custom("all_reduce", 2)->bytes, (std::vector<double>{1000, 8000}));
  EXPECT_EQ(profile.custom("all_reduce", 2)->us, (std::vector<double>{5, 9}));
  EXPECT_NE(profile.custom("all_reduce", 2)->source.find("kernel of engine 1"), std::string::npos);
  EXPECT_EQ(profile.collective("all_reduce", 2), nullptr);
  EXPECT_EQ(profile.custom("all_reduce", 4), nullptr);  // more than two over PCIe: NCCL
}

TEST(LinkFit, NeedsSomethingToSend) {
  LinkFit fit({"p", "pcie", 63, "by hand", "fp16"});
  fit.add(collective("all_reduce", 4, 1000, 30));
  EXPECT_THROW(fit.fit(rules()), InputError);
}

/// What nccl-tests' all_reduce alone gives: the group's curve is its own, send is the rest's.
TEST(LinkFit, TakesWhatItsRowsLackFromTheRest) {
  LinkProfile rest;
  rest.send.bytes = {1000, 2000};
  rest.send.us = {5, 6};
  LinkFitOptions options{"p", "pcie", 63, "by hand", "fp16"};
  options.rest = &rest;
  LinkFit fit(options);
  for (const double bytes : {1000.0, 1e6}) {
    Measurement row = collective("all_reduce", 4, bytes, 10 + bytes / 1000);
    std::get<CollectiveRow>(row.row).dtype = "half";  // nccl-tests' word for fp16
    fit.add(row);
  }
  const LinkProfile profile = fit.fit(rules());
  EXPECT_EQ(profile.send.us, rest.send.us);
  ASSERT_NE(profile.collective("all_reduce", 4), nullptr);
  EXPECT_DOUBLE_EQ(profile.collective("all_reduce", 4)->us.front(), 11);  // 10 + 1000 / 1000
}

/// nccl-tests' default is float, which no curve is made of: silence would write the rest's profile again.
TEST(LinkFit, SaysThatItsRowsAreAllOfAnotherType) {
  LinkProfile rest;
  LinkFitOptions options{"p", "pcie", 63, "by hand", "fp16"};
  options.rest = &rest;
  LinkFit fit(options);
  Measurement row = collective("all_reduce", 2, 1000, 30);
  std::get<CollectiveRow>(row.row).dtype = "float";
  fit.add(row);
  try {
    fit.fit(rules());
    FAIL() << "expected an InputError";
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(),
                 "link p: found no rows over pcie to fit but 1 of float, expected collectives of fp16 or p2p "
                 "(nccl-tests -d half)");
  }
}

TEST(GpuFit, NeedsRowsThatStreamMemory) {
  FitReport report;
  EXPECT_THROW(GpuFit("g").fit({}, {}, report), InputError);
}

}  // namespace
}  // namespace sextant
