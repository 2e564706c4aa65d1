// Link sharing against SimGrid (Debian's libsimgrid-dev); skipped where it is not installed.
#include <gtest/gtest.h>

#include <cmath>

#include "tests/simgrid/platform.hpp"

namespace sextant {
namespace {

// 200 random platforms with flows that begin at random: every end within 0.1 % of SimGrid's. Both fill links
// by the same rule, so what is left is rounding: SimGrid's precision of 1e-5, our nanoseconds.
TEST(SimGrid, TwoHundredRandomPlatforms) {
#ifndef SEXTANT_SIMGRID
  GTEST_SKIP() << "SimGrid was not found when this was configured (Debian: libsimgrid-dev)";
#else
  constexpr double agreement = 0.001;
  std::vector<test::FlowWork> works;
  for (std::uint64_t seed = 0; seed < 200; ++seed) works.push_back(test::random_work(seed));
  const std::vector<std::vector<double> > theirs = test::simgrid_ends(works);
  double worst = 0;
  std::size_t flows = 0;
  for (std::size_t w = 0; w < works.size(); ++w) {
    const std::vector<double> ours = test::sextant_ends(works[w]);
    for (std::size_t f = 0; f < ours.size(); ++f, ++flows) {
      const double start = works[w].flows[f].start_s;
      ASSERT_GT(theirs[w][f], start);
      const double error = std::abs((ours[f] - start) / (theirs[w][f] - start) - 1);
      worst = std::max(worst, error);
      EXPECT_LT(error, agreement) << "platform " << w << ", flow " << f;
    }
  }
  RecordProperty("flows", static_cast<int>(flows));
  RecordProperty("worst_error", std::to_string(worst));
  std::printf("%zu flows, worst error %.2g\n", flows, worst);
#endif
}

}  // namespace
}  // namespace sextant
