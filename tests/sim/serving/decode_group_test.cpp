#include "sim/serving/decode_group.hpp"

#include <gtest/gtest.h>

#include "sim/kernel/random.hpp"

namespace sextant {
namespace {

class DecodeGroupBothWays : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<DecodeGroup> group = make_decode_group(16, GetParam());
  std::vector<std::uint32_t> finished;
};

// 15 cached tokens fill one block but for one place: the first decode fits, the second (16 cached) needs a
// block.
TEST_P(DecodeGroupBothWays, NeedsABlockWhenTheLastOneIsFull) {
  group->add(7, 15, 3);
  EXPECT_EQ(group->blocks_needed(), 0);
  group->advance(finished);
  EXPECT_EQ(group->cached(7), 16);
  EXPECT_EQ(group->blocks_needed(), 1);
  group->advance(finished);
  EXPECT_EQ(group->blocks_needed(), 0);
}

// Two requests, 100 and 200 cached: 300, and 302 a step later.
TEST_P(DecodeGroupBothWays, SumsCachedTokens) {
  group->add(0, 100, 5);
  group->add(1, 200, 5);
  EXPECT_EQ(group->cached_sum(), 300);
  group->advance(finished);
  EXPECT_EQ(group->cached_sum(), 302);
  EXPECT_EQ(group->count(), 2);
}

// Remaining 2 and 1: the second ends in the first step, the first in the next; equal ends leave in order of
// joining.
TEST_P(DecodeGroupBothWays, FinishesInOrder) {
  group->add(5, 10, 2);
  group->add(3, 10, 1);
  group->add(1, 10, 2);
  group->advance(finished);
  EXPECT_EQ(finished, (std::vector<std::uint32_t>{3}));
  finished.clear();
  group->advance(finished);
  EXPECT_EQ(finished, (std::vector<std::uint32_t>{5, 1}));
  EXPECT_EQ(group->count(), 0);
  EXPECT_EQ(group->cached_sum(), 0);
}

// A member that left (preempted) and came back ends by its new count, not by its old one.
TEST_P(DecodeGroupBothWays, ForgetsTheEndOfAMemberThatLeft) {
  group->add(0, 10, 2);
  group->remove(0);
  EXPECT_EQ(group->count(), 0);
  group->add(0, 20, 4);
  group->advance(finished);
  group->advance(finished);
  EXPECT_TRUE(finished.empty());
  EXPECT_EQ(group->remaining(0), 2);
}

INSTANTIATE_TEST_SUITE_P(Ways, DecodeGroupBothWays, testing::Bool(),
                         [](const auto& way) { return way.param ? "Visiting" : "Totals"; });

KvPool windows_of_40_and_100() {
  KvPool pool;
  pool.windows = {{40, 2}, {100, 1}};
  return pool;
}

// Windows of 40 and 100 tokens over blocks of 16. A request joins with 54 tokens: its first block leaves the
// first window (2 groups) with the step that has 55 cached, 55 - 39 = 16; the next at 71.
TEST(DecodeGroup, BlocksLeaveTheirWindows) {
  for (const bool visiting : {false, true}) {
    auto group = make_decode_group(windows_of_40_and_100(), visiting);
    std::vector<std::uint32_t> finished;
    group->add(3, 54, 100, 0, std::vector<std::int64_t>{0, 0});
    for (std::int64_t cached = 54; cached < 140; ++cached) {
      const std::int64_t leaving = (cached >= 55 && (cached - 55) % 16 == 0 ? 2 : 0) +
                                   (cached >= 115 && (cached - 115) % 16 == 0 ? 1 : 0);
      EXPECT_EQ(group->blocks_leaving(), leaving) << cached;
      EXPECT_TRUE(group->named_leaving().empty());
      group->advance(finished);
    }
  }
}

// The same, where the first two blocks have names: at 55 and 71 they leave by name, at 87 two without.
TEST(DecodeGroup, BlocksWithNamesLeaveOneByOne) {
  for (const bool visiting : {false, true}) {
    auto group = make_decode_group(windows_of_40_and_100(), visiting);
    std::vector<std::uint32_t> finished;
    group->add(3, 54, 100, 0, std::vector<std::int64_t>{2, 0});
    for (std::int64_t cached = 54; cached < 90; ++cached) {
      EXPECT_EQ(group->named_leaving().size(), cached == 55 || cached == 71 ? 1U : 0U) << cached;
      EXPECT_EQ(group->blocks_leaving(), cached == 87 ? 2 : 0) << cached;
      group->advance(finished);
    }
  }
}

// Property: both implementations answer every question alike through 20,000 random operations.
TEST(DecodeGroup, TotalsAgreeWithVisiting) {
  RandomStream random(1, "decode-group-test");
  const KvPool pool = windows_of_40_and_100();
  auto totals = make_decode_group(pool, false), visiting = make_decode_group(pool, true);
  std::vector<bool> member(64);
  for (int i = 0; i < 20000; ++i) {
    const auto slot = static_cast<std::uint32_t>(random.below(member.size()));
    if (member[slot] && random.below(4) == 0) {
      totals->remove(slot);
      visiting->remove(slot);
      member[slot] = false;
    } else if (!member[slot]) {
      const auto cached = static_cast<std::int64_t>(1 + random.below(500));
      const auto remaining = static_cast<std::int64_t>(1 + random.below(40));
      std::vector<std::int64_t> named_ends;
      for (int w = 0; w < 2; ++w) named_ends.push_back(static_cast<std::int64_t>(random.below(20)));
      totals->add(slot, cached, remaining, 0, named_ends);
      visiting->add(slot, cached, remaining, 0, named_ends);
      member[slot] = true;
    }
    ASSERT_EQ(totals->blocks_leaving(), visiting->blocks_leaving());
    ASSERT_EQ(totals->named_leaving(), visiting->named_leaving());
    std::vector<std::uint32_t> a, b;
    totals->advance(a);
    visiting->advance(b);
    ASSERT_EQ(a, b);
    for (const std::uint32_t gone : a) member[gone] = false;
    ASSERT_EQ(totals->count(), visiting->count());
    ASSERT_EQ(totals->cached_sum(), visiting->cached_sum());
    ASSERT_EQ(totals->blocks_needed(), visiting->blocks_needed());
  }
}

}  // namespace
}  // namespace sextant
