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

// Property: both implementations answer every question alike through 20,000 random operations.
TEST(DecodeGroup, TotalsAgreeWithVisiting) {
  RandomStream random(1, "decode-group-test");
  auto totals = make_decode_group(16, false), visiting = make_decode_group(16, true);
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
      totals->add(slot, cached, remaining);
      visiting->add(slot, cached, remaining);
      member[slot] = true;
    }
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
