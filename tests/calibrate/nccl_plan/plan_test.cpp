#include "calibrate/measure/nccl/plan/plan.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "calibrate/measure/nccl/plan/sizes.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

Plan plan_of(const std::vector<std::string>& arguments, int ranks) {
  return make_plan(parse_options(arguments), ranks);
}

TEST(Sizes, GivenOnesAreNcclTestsDefaults) {
  EXPECT_EQ(given_sizes(parse_options({})), std::vector<std::uint64_t>{32u << 20});
  EXPECT_EQ(given_sizes(parse_options({"-b", "8", "-e", "64", "-f", "2"})),
            (std::vector<std::uint64_t>{8, 16, 32, 64}));
  EXPECT_EQ(given_sizes(parse_options({"-b", "1M", "-e", "3M"})),
            (std::vector<std::uint64_t>{1u << 20, 2u << 20, 3u << 20}));  // steps of 1 MiB
}

TEST(Sizes, SweepIsEveryPowerOfTwoCoarseFirst) {
  const Sizes sizes = sweep_sizes(parse_options({}), Density::full);
  // 2^10, 2^13, ... 2^28, and the end 2^30: eight; the other 13 of the 21 powers of two after them.
  EXPECT_EQ(sizes.coarse.size(), 8u);
  EXPECT_EQ(sizes.coarse.front(), 1024u);
  EXPECT_EQ(sizes.coarse.back(), 1u << 30);
  EXPECT_EQ(sizes.fine.size(), 13u);
}

TEST(Sizes, AStepOnTheCommandLineReplacesTheDensity) {
  const Sizes sizes = sweep_sizes(parse_options({"-b", "1M", "-e", "16M", "-f", "4"}), Density::full);
  EXPECT_EQ(sizes.coarse, (std::vector<std::uint64_t>{1u << 20, 4u << 20, 16u << 20}));
  EXPECT_TRUE(sizes.fine.empty());
}

TEST(Plan, NamedOperationIsOneTableOfAllGpus) {
  const Plan plan = plan_of({"all_reduce", "-b", "8", "-e", "128M", "-f", "2"}, 4);
  ASSERT_EQ(plan.processes.size(), 1u);
  ASSERT_EQ(plan.processes[0].blocks.size(), 1u);
  const Block& block = plan.processes[0].blocks[0];
  EXPECT_FALSE(plan.processes[0].variant.forced());
  EXPECT_EQ(block.members, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(block.type, DataType::float32);
  EXPECT_FALSE(block.graph);
  EXPECT_TRUE(block.in_place);
  EXPECT_EQ(block.sizes.size(), 25u);  // 2^3 to 2^27
}

TEST(Plan, SweepHasEveryGroupPairOperationAndVariant) {
  const Plan plan = plan_of({}, 4);
  std::set<std::string> variants;
  for (const Process& process : plan.processes) variants.insert(process.variant.text());
  for (const char* variant : {"default", "Ring", "Tree", "LL", "LL128", "Simple", "Ring, LL", "Ring, LL128",
                              "Ring, Simple", "Tree, LL", "Tree, LL128", "Tree, Simple", "at most 2 channels",
                              "at most 4 channels", "at most 8 channels"})
    EXPECT_EQ(variants.count(variant), 1u) << variant;

  std::set<std::pair<Operation, std::vector<int>>> seen;
  std::set<bool> graphs;
  for (const Block& block : plan.processes[0].blocks) {
    seen.insert({block.operation, block.members});
    graphs.insert(block.graph);
  }
  for (const Operation operation : collective_operations())
    for (const std::vector<int>& group : {std::vector<int>{0, 1}, {0, 1, 2}, {0, 1, 2, 3}})
      EXPECT_EQ(seen.count({operation, group}), 1u);
  for (const Operation operation : {Operation::send, Operation::sendrecv})
    for (int first = 0; first < 4; ++first)
      for (int second = first + 1; second < 4; ++second)
        EXPECT_EQ(seen.count({operation, {first, second}}), 1u);
  EXPECT_EQ(graphs.size(), 2u);
}

TEST(Plan, CoarseBlocksOfEverythingComeBeforeFineOnes) {
  const Plan plan = plan_of({}, 3);
  const auto& blocks = plan.processes[0].blocks;
  // The first block of 13 in-between sizes stands behind the last coarse one, which starts at 1 KiB.
  const auto fine = std::find_if(blocks.begin(), blocks.end(),
                                 [](const Block& block) { return block.sizes.front() != 1024; });
  ASSERT_NE(fine, blocks.end());
  EXPECT_TRUE(
      std::all_of(fine, blocks.end(), [](const Block& block) { return block.sizes.front() != 1024; }));
}

TEST(Plan, TreeIsOnlyForcedOnAllReduce) {
  for (const Process& process : plan_of({"--thorough"}, 2).processes)
    if (process.variant.algorithm == "Tree") {
      for (const Block& block : process.blocks) EXPECT_EQ(block.operation, Operation::all_reduce);
    }
}

TEST(Plan, ThoroughIsEveryCombination) {
  EXPECT_EQ(plan_of({"--thorough"}, 2).processes.size(),
            48u);  // 3 algorithms x 4 protocols x 4 channel limits
}

TEST(Plan, QuickEndsWithinTwoMinutes) {
  const Options options = parse_options({"--quick"});
  EXPECT_LT(limits(options).seconds, 120);
  EXPECT_LT(estimated_seconds(make_plan(options, 4), limits(options)), 120);
}

TEST(Plan, AskedVariantsAreCombined) {
  const Plan plan = plan_of({"all_reduce", "--algo", "ring,tree", "--proto", "LL,Simple"}, 2);
  ASSERT_EQ(plan.processes.size(), 4u);
  const auto variables = plan.processes[3].variant.environment();
  ASSERT_EQ(variables.size(), 2u);
  EXPECT_EQ(variables[0], (std::pair<std::string, std::string>{"NCCL_ALGO", "Tree"}));
  EXPECT_EQ(variables[1], (std::pair<std::string, std::string>{"NCCL_PROTO", "Simple"}));
}

TEST(Plan, ChannelLimitHoldsForCollectivesAndSendRecv) {
  const auto variables = Variant{"", "", 4}.environment();
  ASSERT_EQ(variables.size(), 2u);
  EXPECT_EQ(variables[0], (std::pair<std::string, std::string>{"NCCL_MAX_NCHANNELS", "4"}));
  EXPECT_EQ(variables[1], (std::pair<std::string, std::string>{"NCCL_MAX_P2P_NCHANNELS", "4"}));
}

TEST(Plan, AverageOfIntegersIsLeftOut) {
  for (const Process& process : plan_of({"all_reduce", "-d", "int32", "-o", "all"}, 2).processes)
    for (const Block& block : process.blocks) EXPECT_NE(block.reduction, Reduction::avg);
}

TEST(Plan, RefusesWhatIsNotThere) {
  EXPECT_THROW(plan_of({}, 1), InputError);
  EXPECT_THROW(plan_of({"--groups", "8"}, 4), InputError);
  EXPECT_THROW(plan_of({"broadcast", "-r", "4"}, 4), InputError);
  EXPECT_THROW(plan_of({"all_gather", "--algo", "tree"}, 4), InputError);
}

TEST(Plan, ListShowsEveryProcessWithItsEnvironment) {
  const Options options = parse_options({"all_reduce", "--algo", "ring", "-b", "1K", "-e", "2K", "-f", "2"});
  const std::string text = list_text(make_plan(options, 4), limits(options), 4);
  EXPECT_NE(text.find("Ring: NCCL_ALGO=Ring\n  all_reduce of GPUs 0-3, float, in place as well: 1K 2K\n"),
            std::string::npos)
      << text;
}

}  // namespace
}  // namespace sextant::nccl
