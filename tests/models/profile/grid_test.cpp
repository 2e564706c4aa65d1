#include "models/profile/grid.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace sextant {
namespace {

TEST(Grid, GivesBackItsPoints) {
  const Grid grid({{1, 10}, {2, 8, 32}}, {1, 2, 3, 4, 5, 6});
  EXPECT_DOUBLE_EQ(grid.at(std::array{1.0, 8.0}), 2);
  EXPECT_DOUBLE_EQ(grid.at(std::array{10.0, 2.0}), 4);
  EXPECT_DOUBLE_EQ(grid.at(std::array{10.0, 32.0}), 6);
}

TEST(Grid, InterpolatesGeometrically) {
  // Halfway between 1 and 100 in logarithms is 10; halfway between the values 2 and 8 is sqrt(2 * 8) = 4.
  const Grid grid({{1, 100}}, {2, 8});
  EXPECT_NEAR(grid.at(std::array{10.0}), 4, 1e-12);
  // In two dimensions the middle of a cell is the fourth root of the product: (1 * 2 * 4 * 8)^(1/4) =
  // 64^(1/4).
  const Grid square({{1, 4}, {1, 4}}, {1, 2, 4, 8});
  EXPECT_NEAR(square.at(std::array{2.0, 2.0}), std::pow(64.0, 0.25), 1e-12);
}

TEST(Grid, ClampsAtItsEdges) {
  const Grid grid({{1, 100}}, {2, 8});
  EXPECT_DOUBLE_EQ(grid.at(std::array{0.01}), 2);
  EXPECT_DOUBLE_EQ(grid.at(std::array{0.0}), 2);
  EXPECT_DOUBLE_EQ(grid.at(std::array{1e9}), 8);
}

TEST(Grid, SaysWhatItCovers) {
  const Grid grid({{10, 100}, {5}}, {2, 8});
  EXPECT_TRUE(grid.covers(std::array{50.0, 7.0}));  // an axis of one point says nothing about itself
  EXPECT_FALSE(grid.covers(std::array{101.0, 5.0}));
  EXPECT_TRUE(grid.covers(std::array{199.0, 5.0}, 2));
  EXPECT_FALSE(grid.covers(std::array{4.9, 5.0}, 2));
}

TEST(Grid, EmptyIsOneEverywhere) {
  EXPECT_DOUBLE_EQ(Grid().at(std::array{3.0, 4.0}), 1);
  EXPECT_TRUE(Grid().covers(std::array{3.0}));
}

TEST(Grid, RefusesWhatIsNoTable) {
  EXPECT_THROW(Grid({{1, 1}}, {2, 3}), std::invalid_argument);
  EXPECT_THROW(Grid({{0, 1}}, {2, 3}), std::invalid_argument);
  EXPECT_THROW(Grid({{1, 2}}, {2, 3, 4}), std::invalid_argument);
  EXPECT_THROW(Grid({{1, 2}}, {2, 0}), std::invalid_argument);
  EXPECT_THROW(Grid({{1}, {1}, {1}, {1}, {1}}, {2}), std::invalid_argument);
  EXPECT_THROW(Grid({{1, 2}}, {2, 3}).at(std::array{1.0, 1.0}), std::invalid_argument);
}

}  // namespace
}  // namespace sextant
