#include "calibrate/measure/common/routing.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sextant::measure {
namespace {

using Places = std::vector<std::int32_t>;

// Three tokens take experts 1 2, 3 0, 1 2. Experts 1 and 2 have two rows each and come first, in their order;
// then 0 and 3 with one each: rows are tokens 0 2 | 0 2 | 1 | 1.
TEST(Routing, SortsRowsByExpertFullestFirst) {
  const Routing routing = even_routing(3, 4, 2, 1);
  ASSERT_EQ(routing.loads.size(), 4U);
  const int experts[] = {1, 2, 0, 3};
  const std::int64_t rows[] = {2, 2, 1, 1};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(routing.loads[i].expert, experts[i]);
    EXPECT_EQ(routing.loads[i].rows, rows[i]);
  }
  EXPECT_EQ(routing.row_tokens, (Places{0, 2, 0, 2, 1, 1}));
  EXPECT_EQ(routing.token_rows, (Places{0, 2, 5, 4, 1, 3}));
}

TEST(Routing, OneTokenOfOneExpert) {
  const Routing routing = uniform_routing(1, 1, 1, 5);
  EXPECT_EQ(routing.row_tokens, Places{0});
  EXPECT_EQ(routing.token_rows, Places{0});
}

// A token misses an expert with probability 1 - 8/128, so 16 tokens touch 128 (1 - (15/16)^16) = 82.4 experts
// in expectation; their number varies by some 4, its mean over 400 draws by 0.2.
TEST(Routing, TouchesAsManyExpertsAsChanceDoes) {
  double touched = 0;
  constexpr int draws = 400;
  for (int seed = 0; seed < draws; ++seed) {
    const Routing routing = uniform_routing(16, 128, 8, static_cast<std::uint64_t>(seed));
    touched += static_cast<double>(routing.loads.size());
    std::int64_t rows = 0;
    for (const Routing::Load& load : routing.loads) {
      rows += load.rows;
      EXPECT_LE(load.rows, 16);  // a token takes an expert once
    }
    ASSERT_EQ(rows, 16 * 8);
  }
  EXPECT_NEAR(touched / draws, 128 * (1 - std::pow(15.0 / 16, 16)), 1);
}

// Four GPUs with four of 16 experts each: every pair of token and expert is computed by exactly one of them,
// and its row there is of that token.
TEST(Routing, IsDividedAmongGpus) {
  const Routing all = uniform_routing(50, 16, 3, 9);
  std::vector<int> seen(all.token_rows.size());
  for (int first = 0; first < 16; first += 4) {
    const Routing own = of_experts(all, first, 4);
    std::int64_t rows = 0;
    for (const Routing::Load& load : own.loads) {
      EXPECT_GE(load.expert, 0);
      EXPECT_LT(load.expert, 4);
      rows += load.rows;
    }
    EXPECT_EQ(static_cast<std::size_t>(rows), own.row_tokens.size());
    ASSERT_EQ(own.token_rows.size(), all.token_rows.size());
    for (std::size_t i = 0; i < own.token_rows.size(); ++i) {
      if (own.token_rows[i] < 0) continue;
      ++seen[i];
      EXPECT_EQ(own.row_tokens[static_cast<std::size_t>(own.token_rows[i])],
                static_cast<std::int32_t>(i / 3));
    }
  }
  EXPECT_EQ(seen, std::vector<int>(all.token_rows.size(), 1));
  EXPECT_TRUE(of_experts(uniform_routing(1, 8, 1, 3), 0, 0).row_tokens.empty());
}

}  // namespace
}  // namespace sextant::measure
