#include "sim/kernel/random.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <stdexcept>

namespace sextant {
namespace {

constexpr int draws = 200'000;

struct Moments {
  double mean = 0;
  double variance = 0;
};

template <class Draw>
Moments moments(Draw draw) {
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < draws; ++i) {
    const double x = draw();
    sum += x;
    squares += x * x;
  }
  const double mean = sum / draws;
  return {mean, squares / draws - mean * mean};
}

/// The sample's mean and variance lie within four of their standard errors, sqrt(v / n) and v sqrt((kurtosis
/// - 1) / n).
void expect_moments(Moments found, double mean, double variance, double kurtosis) {
  EXPECT_NEAR(found.mean, mean, 4 * std::sqrt(variance / draws));
  EXPECT_NEAR(found.variance, variance, 4 * variance * std::sqrt((kurtosis - 1) / draws));
}

// From a Python script of SplitMix64, FNV-1a and xoshiro256** as published; its SplitMix64 gives the
// reference 6457827717110365317 for seed 1234567.
TEST(RandomStream, IsTheSameEverywhere) {
  RandomStream first(42, "arrivals");
  EXPECT_EQ(first.bits(), 0xbb804564753d3935u);
  EXPECT_EQ(first.bits(), 0x0f54e9493cc156e6u);
  EXPECT_EQ(first.bits(), 0x20171d4bf78f7fb5u);
  RandomStream second(42, "arrivals", 1);
  EXPECT_EQ(second.bits(), 0xb7f883db3df697e4u);
  EXPECT_EQ(second.bits(), 0xada6e5c5f9f252b1u);
  EXPECT_EQ(second.bits(), 0xcd2b49f4437b9585u);
}

// 2^-12 of each 52-bit integer k gives (k + 1/2) 2^-52: the first number above, 0xbb804564753d3935, is
// 0.73242601...
TEST(RandomStream, UniformIsTheTopBitsOfTheNumber) {
  RandomStream random(42, "arrivals");
  EXPECT_DOUBLE_EQ(random.uniform(), (0xbb804564753d3p0 + 0.5) / 0x1p52);
}

// Two independent uniforms have correlation 0 with deviation 1 / sqrt(n).
TEST(RandomStream, StreamsOfOtherNamesAreIndependent) {
  const auto correlation = [](RandomStream a, RandomStream b) {
    double sum = 0;
    for (int i = 0; i < draws; ++i) sum += (a.uniform() - 0.5) * (b.uniform() - 0.5);
    return sum / draws * 12;  // a uniform's variance is 1/12
  };
  const RandomStream base(1, "arrivals", 0);
  EXPECT_NEAR(correlation(base, base), 1, 0.02);
  const double bound = 4 / std::sqrt(draws);
  EXPECT_NEAR(correlation(base, RandomStream(1, "lengths", 0)), 0, bound);
  EXPECT_NEAR(correlation(base, RandomStream(1, "arrivals", 1)), 0, bound);
  EXPECT_NEAR(correlation(base, RandomStream(2, "arrivals", 0)), 0, bound);
}

TEST(RandomStream, UniformMoments) {
  RandomStream random(3, "uniform");
  // Variance 1/12; kurtosis 9/5.
  expect_moments(moments([&] { return random.uniform(); }), 0.5, 1.0 / 12, 1.8);
}

// Each of 6 faces comes n/6 times with deviation sqrt(n 1/6 5/6).
TEST(RandomStream, BelowIsFair) {
  RandomStream random(3, "die");
  std::array<int, 6> faces{};
  for (int i = 0; i < draws; ++i) ++faces.at(random.below(6));
  for (const int count : faces) EXPECT_NEAR(count, draws / 6.0, 4 * std::sqrt(draws * 5 / 36.0));
}

// With n = 3 * 2^62 a plain modulo would put half of all results into the first third; a fair one a third.
TEST(RandomStream, BelowRejectsWhatWouldBeUnfair) {
  RandomStream random(3, "large");
  const std::uint64_t third = std::uint64_t{1} << 62;
  int low = 0;
  for (int i = 0; i < draws; ++i) low += random.below(3 * third) < third ? 1 : 0;
  EXPECT_NEAR(low, draws / 3.0, 4 * std::sqrt(draws * 2 / 9.0));
}

TEST(RandomStream, BelowOneIsZeroAndBelowZeroIsAnError) {
  RandomStream random(3, "edge");
  EXPECT_EQ(random.below(1), 0u);
  EXPECT_THROW(random.below(0), std::logic_error);
  EXPECT_THROW(random.gamma(0, 1), std::logic_error);
  EXPECT_THROW(random.gamma(std::nan(""), 1), std::logic_error);
}

TEST(RandomStream, ExponentialMoments) {
  RandomStream random(3, "exponential");
  // Mean 2, variance 4, kurtosis 9.
  expect_moments(moments([&] { return random.exponential(2); }), 2, 4, 9);
}

TEST(RandomStream, NormalMoments) {
  RandomStream random(3, "normal");
  expect_moments(moments([&] { return random.normal(); }), 0, 1, 3);
}

// P(|x| > 2) = 0.0455 for a normal.
TEST(RandomStream, NormalTails) {
  RandomStream random(3, "tails");
  int outside = 0;
  for (int i = 0; i < draws; ++i) outside += std::abs(random.normal()) > 2 ? 1 : 0;
  EXPECT_NEAR(outside, 0.0455003 * draws, 4 * std::sqrt(draws * 0.0455 * 0.9545));
}

TEST(RandomStream, LognormalMoments) {
  RandomStream random(3, "lognormal");
  // The logarithm is normal with mean log 100 and deviation 0.5.
  expect_moments(moments([&] { return std::log(random.lognormal(100, 0.5)); }), std::log(100), 0.25, 3);
}

TEST(RandomStream, GammaMoments) {
  // Mean k s, variance k s^2, kurtosis 3 + 6/k.
  for (const double shape : {0.25, 0.9, 1.0, 4.0}) {
    RandomStream random(3, "gamma");
    expect_moments(moments([&] { return random.gamma(shape, 2); }), 2 * shape, 4 * shape, 3 + 6 / shape);
  }
}

}  // namespace
}  // namespace sextant
