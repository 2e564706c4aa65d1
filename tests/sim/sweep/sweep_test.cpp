#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/sweep/merge.hpp"
#include "sim/sweep/run.hpp"

namespace sextant {
namespace {

namespace fs = std::filesystem;

/// One H100 that serves 8B: 20 requests, which take milliseconds to simulate.
JsonValue scenario() {
  return JsonValue::parse(
      R"({"name": "small", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h100-sxm": 1}}]},
    "model": {"name": "llama-3.1-8b"}, "deployment": {"tp": 1},
    "workload": {"request_rate": 4, "num_prompts": 20, "prompt": {"fixed": 100}, "output": {"fixed": 10}, "seed": 1}})",
      "small.json");
}

SweepGrid grid(const std::string& seeds = "1,2,3,4,5") {
  return {scenario(), {read_axis("workload.request_rate=1,2"), read_axis("workload.seed=" + seeds)}};
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    path_ = fs::temp_directory_path() /
            (std::string("sextant-sweep-") + test->name() + "-" + std::to_string(getpid()));
    fs::create_directories(path_);
  }
  void TearDown() override { fs::remove_all(path_); }

  std::string file(const Shard& shard) const { return (path_ / shard.file_name()).string(); }
  void compute(const SweepGrid& grid, const Shard& shard) const {
    ShardFile rows(file(shard), {grid.identity("1"), grid.points(), shard});
    run_shard(grid, shard, rows, {2, nullptr, {}});
  }
  MergedSweep merged() const {
    MissingPoints missing;
    MergedSweep sweep = merge_shards(shard_files(path_.string()), missing);
    EXPECT_EQ(missing.missing, 0U) << missing.text;
    return sweep;
  }
  std::string error_of(const std::function<void()>& work) const {
    try {
      work();
      return "accepted";
    } catch (const Error& error) {
      return error.what();
    }
  }
  fs::path path_;
};
using Sweep = Folder;

TEST(SweepGrid, CountsAndNumbersRowByRow) {
  const SweepGrid points = grid();
  EXPECT_EQ(points.points(), 10U);
  EXPECT_EQ(points.values(0), (std::vector<std::string>{"1", "1"}));
  EXPECT_EQ(points.values(4), (std::vector<std::string>{"1", "5"}));
  EXPECT_EQ(points.values(5), (std::vector<std::string>{"2", "1"}));  // the last axis runs fastest
  EXPECT_EQ(points.describe(), "10 points: workload.request_rate (2) x workload.seed (5)");
  const SweepGrid billion(
      scenario(), {read_axis("workload.seed=1..1000000"), read_axis("workload.request_rate=1..1000")});
  EXPECT_EQ(billion.describe(),
            "1,000,000,000 points: workload.seed (1,000,000) x workload.request_rate (1,000)");
  const std::string most = "=1..9007199254740992";  // 2^53 each: 2^106 in all
  EXPECT_THROW(SweepGrid(scenario(), {read_axis("a" + most), read_axis("b" + most)}), InputError);
}

TEST(SweepGrid, RefusesAxesThatNeverGiveAScenario) {
  EXPECT_THROW(expect_readable({scenario(), {read_axis("workload.sed=1,2")}}), InputError);
  EXPECT_THROW(expect_readable({scenario(), {read_axis("model.weights=bf17")}}), InputError);
  EXPECT_NO_THROW(expect_readable({scenario(), {read_axis("model.weights=bf17,fp8")}}));
  // valid only together: 4096 sequences need as many tokens in a step
  EXPECT_NO_THROW(expect_readable(
      {scenario(), {read_axis("engine={\"max_num_seqs\":4096,\"max_num_batched_tokens\":4096}")}}));
}

TEST(SweepRows, DoNotDependOnThreads) {
  const std::vector<std::string> one = run_sweep(grid(), {1, nullptr, {}}),
                                 four = run_sweep(grid(), {4, nullptr, {}});
  ASSERT_EQ(one.size(), 10U);
  EXPECT_EQ(one, four);
  EXPECT_NE(one[7].find(R"("point":7,"values":[2,3],"status":"ok")"), std::string::npos) << one[7];
}

TEST(SweepRows, SayWhyAPointHasNoPlan) {
  // 70B in 16 bit is 141 GB, an H100 has 80; "x" is no weight format
  const SweepGrid points(scenario(),
                         {read_axis("model.name=llama-3.1-70b"), read_axis("model.weights=bf16,x")});
  const std::vector<std::string> rows = run_sweep(points);
  EXPECT_NE(rows[0].find(R"("status":"no plan")"), std::string::npos) << rows[0];
  EXPECT_NE(rows[1].find(R"("status":"refused","reason":"model.weights: found)"), std::string::npos)
      << rows[1];
}

TEST_F(Sweep, UnionIsTheSameForAnyNumberOfShards) {
  const std::vector<std::string> expected = run_sweep(grid());
  for (const std::uint64_t count : {1, 3, 7}) {
    fs::remove_all(path_);
    fs::create_directories(path_);
    for (std::uint64_t index = count; index-- > 0;) compute(grid(), {index, count});
    EXPECT_EQ(merged().rows, expected) << count;
    EXPECT_EQ(merged().identity, grid().identity("1"));
  }
}

TEST_F(Sweep, ResumesAfterATornLine) {
  const Shard shard{0, 2};
  compute(grid(), shard);
  const std::string whole = read_text_file(file(shard));
  // header, two rows and half of the third
  std::size_t at = 0;
  for (int line = 0; line < 3; ++line) at = whole.find('\n', at) + 1;
  std::ofstream(file(shard), std::ios::trunc) << whole.substr(0, at + 20);
  {
    ShardFile rows(file(shard), {grid().identity("1"), 10, shard});
    EXPECT_EQ(rows.rows(), 2U);
    EXPECT_EQ(read_text_file(file(shard)), whole.substr(0, at));
  }
  compute(grid(), shard);
  compute(grid(), {1, 2});
  EXPECT_EQ(merged().rows, run_sweep(grid()));
  // a header alone that is torn starts anew
  std::ofstream(file(shard), std::ios::trunc) << whole.substr(0, 15);
  compute(grid(), shard);
  EXPECT_EQ(merged().rows, run_sweep(grid()));
}

TEST_F(Sweep, RefusesWhatIsNotItsOwn) {
  const Shard shard{0, 2};
  compute(grid(), shard);
  const std::string other = error_of([&] { compute(grid("1,2,3,4,6"), shard); });
  EXPECT_NE(other.find("differs in axes[1].values[4]: 5 and 6"), std::string::npos) << other;
  std::ofstream(file({1, 2})) << read_text_file(file(shard));
  EXPECT_NE(error_of([&] {
              compute(grid(), {1, 2});
            }).find("found shard 1/2, expected 2/2"),
            std::string::npos);
  std::ofstream(file(shard), std::ios::app) << "{broken\n{\"point\":0}\n";
  EXPECT_NE(error_of([&] { compute(grid(), shard); }).find(":7:"),
            std::string::npos);  // header, 5 rows, broken
}

TEST_F(Sweep, OneProcessAtATimeWritesAShard) {
  const ShardFile first(file({}), {grid().identity("1"), 10, {}});
  EXPECT_NE(error_of([&] { compute(grid(), {}); }).find("another process"), std::string::npos);
}

TEST_F(Sweep, MergeNamesWhatIsMissingAndWhatDiffers) {
  compute(grid(), {0, 2});
  MissingPoints missing;
  merge_shards(shard_files(path_.string()), missing);
  EXPECT_EQ(missing.missing, 5U);  // 1, 3, 5, 7, 9
  EXPECT_NE(missing.text.find("5 of 10 points are missing, the first is point 1"), std::string::npos)
      << missing.text;
  compute(grid("1,2,3,4,6"), {1, 2});
  const std::string different = error_of([&] { merge_shards(shard_files(path_.string()), missing); });
  EXPECT_NE(different.find("different grids, which differ in axes[1].values[4]: 5 and 6"), std::string::npos)
      << different;
  fs::remove(file({1, 2}));
  std::string text = read_text_file(file({0, 2}));
  const std::size_t at = text.find("\"status\":\"ok\"");
  std::ofstream(path_ / "shard-x.jsonl") << text.replace(at, 13, "\"status\":\"no\"");
  EXPECT_NE(
      error_of([&] { merge_shards(shard_files(path_.string()), missing); }).find("differs from another"),
      std::string::npos);
  EXPECT_THROW(shard_files((path_ / "none").string()), InputError);
}

}  // namespace
}  // namespace sextant
