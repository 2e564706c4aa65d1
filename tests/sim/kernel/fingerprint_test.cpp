#include "sim/kernel/fingerprint.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cstdint>
#include <set>

namespace sextant {
namespace {

std::uint64_t fingerprint_of(std::initializer_list<Event> events) {
  Fingerprint fingerprint;
  for (const Event& event : events) fingerprint.add(event);
  return fingerprint.value();
}

// The words 1000, 2 * 2^32 + 3 and 4 through MurmurHash3's constants, computed by a Python script of the
// algorithm.
TEST(Fingerprint, IsWhatTheAlgorithmSays) {
  Fingerprint fingerprint;
  EXPECT_EQ(fingerprint.text(), "9ca066f1a4ab2eea");
  fingerprint.add(Event{{1000}, 2, 3, 4});
  EXPECT_EQ(fingerprint.text(), "fed094e7cb9ff746");
}

TEST(Fingerprint, SeesOrderAndEveryField) {
  const Event a{{1}, 2, 3, 4};
  const Event b{{1}, 3, 2, 4};
  std::set<std::uint64_t> values = {fingerprint_of({}),
                                    fingerprint_of({a}),
                                    fingerprint_of({b}),
                                    fingerprint_of({a, b}),
                                    fingerprint_of({b, a}),
                                    fingerprint_of({a, a}),
                                    fingerprint_of({{{2}, 2, 3, 4}}),
                                    fingerprint_of({{{1}, 2, 3, 5}}),
                                    fingerprint_of({Event{}})};
  EXPECT_EQ(values.size(), 9u);
  EXPECT_EQ(fingerprint_of({a, b}), fingerprint_of({a, b}));
}

// A flipped bit of the input flips each of the 64 output bits with probability 1/2: mean 32, deviation 4 a
// trial. The mean of 64 trials has deviation 4 / 8 = 0.5; four of them is 2.
TEST(Fingerprint, OneBitChangesHalfTheValue) {
  Fingerprint base;
  base.add(12345);
  int flipped = 0;
  for (int bit = 0; bit < 64; ++bit) {
    Fingerprint other;
    other.add(12345 ^ std::uint64_t{1} << bit);
    flipped += std::popcount(base.value() ^ other.value());
  }
  EXPECT_NEAR(flipped / 64.0, 32, 2);
}

}  // namespace
}  // namespace sextant
