#include "sim/sweep/shard.hpp"

#include <gtest/gtest.h>

#include <map>

#include "models/base/error.hpp"

namespace sextant {
namespace {

Environment environment(std::map<std::string, std::string> variables) {
  return [variables](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional<std::string>(found->second);
  };
}

TEST(Shard, TogetherHoldEveryPointOnce) {
  for (const std::uint64_t count : {1, 3, 8}) {
    std::map<std::uint64_t, int> held;
    for (std::uint64_t index = 0; index < count; ++index) {
      const Shard shard{index, count};
      for (std::uint64_t i = 0; i < shard.size(10); ++i) {
        EXPECT_TRUE(shard.holds(shard.point(i)));
        ++held[shard.point(i)];
      }
    }
    ASSERT_EQ(held.size(), 10U);
    for (const auto& [point, times] : held) EXPECT_EQ(times, 1) << point;
  }
  EXPECT_EQ((Shard{2, 3}.size(10)), 3U);  // 2, 5, 8
  EXPECT_EQ((Shard{9, 20}.size(10)), 1U);
  EXPECT_EQ((Shard{10, 20}.size(10)), 0U);
}

TEST(Shard, IsReadAsPeopleCount) {
  EXPECT_EQ(read_shard("3/8").index, 2U);
  EXPECT_EQ(read_shard("3/8").text(), "3/8");
  EXPECT_EQ(read_shard("3/12").file_name(), "shard-03-of-12.jsonl");
  for (const char* bad : {"0/8", "9/8", "3", "3/", "/8", "3/8/1", "-1/8", "a/b", "1/99999999"})
    EXPECT_THROW(read_shard(bad), InputError) << bad;
}

TEST(Shard, ComesFromSlurmOrKubernetes) {
  EXPECT_FALSE(shard_from(environment({})));
  EXPECT_EQ(shard_from(environment({{"SLURM_ARRAY_TASK_ID", "0"}, {"SLURM_ARRAY_TASK_COUNT", "4"}}))->text(),
            "1/4");
  EXPECT_EQ(shard_from(environment({{"SLURM_ARRAY_TASK_ID", "4"},
                                    {"SLURM_ARRAY_TASK_COUNT", "4"},
                                    {"SLURM_ARRAY_TASK_MIN", "1"}}))
                ->text(),
            "4/4");
  EXPECT_EQ(shard_from(environment({{"JOB_COMPLETION_INDEX", "2"}, {"JOB_COMPLETIONS", "3"}}))->text(),
            "3/3");
  EXPECT_THROW(shard_from(environment({{"JOB_COMPLETION_INDEX", "2"}})), InputError);
  EXPECT_THROW(shard_from(environment({{"JOB_COMPLETION_INDEX", "3"}, {"JOB_COMPLETIONS", "3"}})),
               InputError);
  EXPECT_THROW(shard_from(environment({{"JOB_COMPLETION_INDEX", ""}, {"JOB_COMPLETIONS", "3"}})), InputError);
  // an array with gaps (1,3,5) has ids beyond its count
  EXPECT_THROW(
      shard_from(environment(
          {{"SLURM_ARRAY_TASK_ID", "5"}, {"SLURM_ARRAY_TASK_COUNT", "3"}, {"SLURM_ARRAY_TASK_MIN", "1"}})),
      InputError);
}

}  // namespace
}  // namespace sextant
