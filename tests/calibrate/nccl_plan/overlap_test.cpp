#include "calibrate/measure/nccl/plan/overlap.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "calibrate/measure/common/result_file.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

namespace sextant::nccl {
namespace {

using testing::HasSubstr;

template <class Action>
std::string refusal(const Action& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

std::string refused_options(const std::vector<std::string>& arguments) {
  return refusal([&] { parse_options(arguments); });
}

std::string refused_plan(const std::vector<std::string>& arguments, int ranks, int processes) {
  return refusal([&] { overlap_points(parse_options(arguments), ranks, processes); });
}

TEST(OverlapOptions, ShapesAndPriorities) {
  const Options options = parse_options({"all_reduce", "--overlap", "--gemm", "16x8192x28672,1x2x3",
                                         "--priority=high", "--channels", "4,default"});
  EXPECT_TRUE(options.overlap.wanted);
  EXPECT_EQ(options.overlap.gemms, (std::vector<GemmShape>{{16, 8192, 28672}, {1, 2, 3}}));
  EXPECT_EQ(options.overlap.high_priority, std::vector<bool>{true});
}

TEST(OverlapOptions, RefusesWhatItDoesNotVary) {
  EXPECT_THAT(refused_options({"--overlap", "--gemm", "16x8192"}),
              HasSubstr("found \"16x8192\", expected shapes MxNxK"));
  EXPECT_THAT(refused_options({"--overlap", "--gemm", "0x1x1"}), HasSubstr("expected shapes MxNxK"));
  EXPECT_THAT(refused_options({"--overlap", "--gemm", ""}), HasSubstr("found \"\""));
  EXPECT_THAT(refused_options({"--overlap", "--gemm", "1x2x3x4"}), HasSubstr("found \"1x2x3x4\""));
  EXPECT_THAT(refused_options({"--overlap", "--priority", "low"}), HasSubstr("expected same, high or both"));
  EXPECT_THAT(refused_options({"--overlap", "--algo", "ring"}), HasSubstr("found --algo with --overlap"));
  EXPECT_THAT(refused_options({"--overlap", "-G", "1"}), HasSubstr("found --cudagraph with --overlap"));
  EXPECT_THAT(refused_options({"--gemm", "1x2x3"}), HasSubstr("without --overlap"));
}

// 7 numbers of channels, all_reduce and sendrecv, one size, two shapes, two priorities: 7 * 2 * 2 * 2 = 56
// points, those of one communicator together.
TEST(OverlapPlan, EveryCombinationOnceByChannels) {
  const std::vector<OverlapPoint> points = overlap_points(parse_options({"--overlap"}), 2, 1);
  ASSERT_EQ(points.size(), 56u);
  int changes = 0;
  for (std::size_t i = 1; i < points.size(); ++i) changes += points[i].channels != points[i - 1].channels;
  EXPECT_EQ(changes, 6);
  EXPECT_EQ(points.front().bytes, 64u << 20);
  EXPECT_EQ(points.front().channels, 0);
  EXPECT_EQ(points[1].text(),
            "all_reduce of 64M, NCCL's own channels, high priority, beside 8192 x 8192 x 8192");
}

TEST(OverlapPlan, RefusesWhatItCannotMeasure) {
  EXPECT_THAT(refused_plan({"--overlap"}, 1, 1), HasSubstr("found 1 GPU, expected at least 2"));
  EXPECT_THAT(refused_plan({"--overlap"}, 4, 2), HasSubstr("found 2 processes, expected one"));
  EXPECT_THAT(refused_plan({"broadcast", "--overlap"}, 2, 1),
              HasSubstr("found broadcast, expected all_reduce"));
  EXPECT_THAT(refused_plan({"--overlap", "-b", "1M", "-e", "64M", "-f", "2"}, 2, 1),
              HasSubstr("found 1048576 bytes, expected at least 4M"));
}

TEST(OverlapPlan, SaysThatThereIsNoGpu) {
  EXPECT_THAT(refusal([] { expect_gpus_for_overlap(0, "no driver"); }),
              HasSubstr("skipped: no GPU (no driver)"));
  EXPECT_THAT(refusal([] { expect_gpus_for_overlap(1, ""); }), HasSubstr("skipped: found one GPU"));
  EXPECT_EQ(refusal([] { expect_gpus_for_overlap(2, ""); }), "accepted");
}

// 250 us each: 12,000 / 250 = 48 units of one, and the first that is left out. 20 us: ten of them make a unit
// of 200 us, 60 units and one. 5,000 us beside it: five units are 25 ms, so the other has 125 and one.
TEST(OverlapCounts, BothStreamsLastAsLong) {
  const OverlapCounts equal = overlap_counts(250, 20);
  EXPECT_EQ(equal.collective.units, 49);
  EXPECT_EQ(equal.collective.per_unit, 1);
  EXPECT_EQ(equal.gemm.units, 61);
  EXPECT_EQ(equal.gemm.per_unit, 10);
  const OverlapCounts uneven = overlap_counts(5000, 200);
  EXPECT_EQ(uneven.collective.units, 6);
  EXPECT_EQ(uneven.gemm.units, 126);
}

// The first unit (0 to 30, with the start in it) does not count: (50 - 30) / 2.
TEST(OverlapPeriod, AloneLeavesTheFirstUnitOut) {
  EXPECT_EQ(period_alone({0, 30, 40, 50})->us, 10);
  EXPECT_EQ(period_alone({0, 30, 40, 50})->units, 2);
  EXPECT_FALSE(period_alone({0, 30}));
  EXPECT_FALSE(period_alone({}));
}

// The other is at work from 25 (the end of its first unit) to 62. Whole units within: 30-42 and 42-54, 12 us
// each; 54-64 ends too late, and 10-20, 20-30 begin too early. Of the other the units 25-37, 37-49 and 49-62
// lie within 10 to 64.
TEST(OverlapPeriod, BesideCountsWholeUnitsWithinTheOthersWork) {
  const std::vector<double> marks = {0, 10, 20, 30, 42, 54, 64}, others = {5, 25, 37, 49, 62};
  EXPECT_EQ(period_beside(marks, others)->us, 12);
  EXPECT_EQ(period_beside(marks, others)->units, 2);
  EXPECT_NEAR(period_beside(others, marks)->us, 37.0 / 3, 1e-12);
  EXPECT_EQ(period_beside(others, marks)->units, 3);
}

TEST(OverlapPeriod, NothingWhereOneOutlastsNoUnitOfTheOther) {
  EXPECT_FALSE(period_beside({0, 10, 100}, {0, 5, 50}));   // 10 to 100 is not within 10 to 50
  EXPECT_FALSE(period_beside({0, 10, 20}, {30, 40, 50}));  // one after the other
  EXPECT_FALSE(period_beside({}, {0, 10, 20}));
}

OverlapSamples samples_of(double collective_beside, double gemm_beside) {
  OverlapSamples samples;
  samples.collective_alone = {99, 100, 101};
  samples.collective_beside = {collective_beside};
  samples.gemm_alone = {200, 200, 200};
  samples.gemm_beside = {gemm_beside};
  samples.least_units = 4;
  return samples;
}

TEST(OverlapRows, SayWhatEachTookAloneAndBeside) {
  const RowContext context = {"h200-sxm", "test", "nvlink", 1, true};
  const OverlapPoint point = {Operation::all_reduce, 64u << 20, 8, true, {16, 8192, 28672}};
  const Measurement row = overlap_row(point, 2, context, samples_of(150, 220), "2.28.3");
  const std::string text = write_measurement(row);
  EXPECT_THAT(
      text, HasSubstr(R"({"kind":"overlap","gpu":"h200-sxm","op":"all_reduce","ranks":2,"nodes":1,)"
                      R"("link":"nvlink","bytes":67108864.0,"channels":8,"priority":"high","dtype":"bf16",)"
                      R"("m":16,"n":8192,"k":28672,"collective_us_alone":100.0,"collective_us_beside":150.0,)"
                      R"("gemm_us_alone":200.0,"gemm_us_beside":220.0,"source":"test","note":"NCCL 2.28.3)"));
  EXPECT_EQ(write_measurement(read_measurement(JsonValue::parse(text, "row"))), text);
  // 150 / 100 and 220 / 200.
  const std::string line = overlap_line(point, std::get<OverlapRow>(row.row));
  EXPECT_THAT(line, HasSubstr(" 1.500 "));
  EXPECT_THAT(line, HasSubstr(" 1.100\n"));
}

TEST(OverlapRows, IdentityIsWithoutTheTimes) {
  const RowContext context = {"h200-sxm", "test", "nvlink", 1, true};
  OverlapPoint point = {Operation::sendrecv, 64u << 20, 0, false, {1, 2, 3}};
  const auto identity = [&](double us) {
    return measure::row_identity(overlap_row(point, 2, context, samples_of(us, us), ""));
  };
  const std::string plain = identity(1);
  EXPECT_EQ(plain, identity(2));
  point.high_priority = true;
  EXPECT_NE(plain, identity(1));
  point.high_priority = false;
  point.channels = 1;
  EXPECT_NE(plain, identity(1));
}

// Half the interval, from 50 to 150, is half of the median: no steady figure.
TEST(OverlapRows, NoteTellsWhatIsDoubtful) {
  OverlapSamples samples = samples_of(1, 1);
  samples.gemm_alone = {50, 50, 100, 100, 150, 150};
  samples.most_host_share = 0.9;
  samples.throttled = true;
  const std::string note = overlap_row({}, 2, {}, samples, "").note;
  EXPECT_THAT(note, HasSubstr("gemm alone 50 to 150 (noisy)"));
  EXPECT_THAT(note, HasSubstr("90 % of the time to enqueue"));
  EXPECT_THAT(note, HasSubstr("throttled"));
}

}  // namespace
}  // namespace sextant::nccl
