#include "models/profile/shared_link.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

LinkProfile toy() {
  LinkProfile link;
  link.send.bytes = {1e3, 1e6};
  link.send.us = {10, 60};
  link.collectives = {{"all_reduce", 4, link.send}, {"all_gather", 4, link.send}};
  return link;
}

// 1 MB at 0.002 ns a byte more: 2 us. An all-reduce over four moves 2 x 3/4 of its bytes over a link, 3 us;
// an all-gather 3/4, 1.5 us.
TEST(SharedLink, LongerBytes) {
  const LinkProfile link = with_longer_bytes(toy(), 0.002);
  EXPECT_DOUBLE_EQ(link.send.us[1], 62);
  EXPECT_DOUBLE_EQ(link.collectives[0].curve.us[1], 63);
  EXPECT_DOUBLE_EQ(link.collectives[1].curve.us[1], 61.5);
}

// 10 GB/s left: 1.5 MB of an all-reduce of 1 MB take 150 us, 0.75 MB of an all-gather 75; 1 KB is as quick as
// before. Messages are left to the route.
TEST(SharedLink, RateLeft) {
  const LinkProfile link = with_rate_left(toy(), 10);
  EXPECT_DOUBLE_EQ(link.collectives[0].curve.us[1], 150);
  EXPECT_DOUBLE_EQ(link.collectives[1].curve.us[1], 75);
  EXPECT_DOUBLE_EQ(link.collectives[0].curve.us[0], 10);
  EXPECT_DOUBLE_EQ(link.send.us[1], 60);
}

}  // namespace
}  // namespace sextant
