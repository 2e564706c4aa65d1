#include "sim/serving/router.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Policy = RouterOptions::Policy;

/// A prompt of these blocks of 100 tokens each, all named, and one output token.
Request of_blocks(std::vector<std::uint64_t> names) {
  Request request;
  request.prompt_tokens = static_cast<std::int64_t>(names.size()) * 100;
  request.output_tokens = 1;
  request.prompt_blocks = {std::make_shared<const std::vector<std::uint64_t>>(std::move(names)),
                           request.prompt_tokens, 100};
  return request;
}

Router router(Policy policy, std::size_t replicas, std::int64_t kv_tokens = 10'000) {
  RouterOptions options;
  options.policy = policy;
  return {options, std::vector<std::int64_t>(replicas, kv_tokens)};
}

std::vector<std::uint32_t> choices(Router& router, int count) {
  std::vector<std::uint32_t> chosen;
  for (int i = 0; i < count; ++i) chosen.push_back(router.choose(of_blocks({})));
  return chosen;
}

TEST(Router, RoundRobinGoesInTurn) {
  Router r = router(Policy::round_robin, 3);
  EXPECT_THAT(choices(r, 4), ElementsAre(0, 1, 2, 0));
  r.done(0);
  EXPECT_THAT(choices(r, 1), ElementsAre(1)) << "whatever the load";
}

// Equal loads go in turn; then replica 1 is the only one with a request less, and takes the next; then all
// have two again and the turn goes on after it.
TEST(Router, LeastRequestsTakesTheLeastLoaded) {
  Router r = router(Policy::least_requests, 3);
  EXPECT_THAT(choices(r, 6), ElementsAre(0, 1, 2, 0, 1, 2));
  r.done(1);
  EXPECT_THAT(choices(r, 3), ElementsAre(1, 2, 0));
  EXPECT_EQ(r.outstanding(1), 2);
}

// One request after another, each done before the next comes: the fleet is used in turn.
TEST(Router, LeastRequestsUsesAnIdleFleetEvenly) {
  Router r = router(Policy::least_requests, 2);
  for (const std::uint32_t expected : {0u, 1u, 0u, 1u}) {
    EXPECT_EQ(r.choose(of_blocks({})), expected);
    r.done(expected);
  }
}

// 1-2-3 goes to replica 0, 7-8-9 to 1. Then 1-2-4 matches 200 of 300 tokens on 0; 7-5-6 matches 100 of 300, a
// third, more than 0.3, on 1; 7-5-6-6 now 300 of 400 there.
TEST(Router, PrefixAwareFollowsTheLongestMatch) {
  Router r = router(Policy::prefix_aware, 2);
  EXPECT_EQ(r.choose(of_blocks({1, 2, 3})), 0u);
  EXPECT_EQ(r.choose(of_blocks({7, 8, 9})), 1u);
  EXPECT_EQ(r.choose(of_blocks({1, 2, 4})), 0u);
  EXPECT_EQ(r.choose(of_blocks({1, 2, 5})), 0u);
  EXPECT_EQ(r.choose(of_blocks({7, 5, 6})), 1u);
  EXPECT_EQ(r.choose(of_blocks({7, 5, 6, 6})), 1u);
  EXPECT_EQ(r.outstanding(0), 3);
}

// A quarter of 1-6-6-6 is on replica 0, not more than 0.3 of it: the load decides, 2 against 1.
TEST(Router, PrefixAwareIgnoresShortMatches) {
  Router r = router(Policy::prefix_aware, 2);
  EXPECT_EQ(r.choose(of_blocks({1, 2, 3})), 0u);
  EXPECT_EQ(r.choose(of_blocks({9})), 1u);
  EXPECT_EQ(r.choose(of_blocks({1, 2, 3})), 0u);
  EXPECT_EQ(r.choose(of_blocks({1, 6, 6, 6})), 1u);
}

// A match in the middle is none: names stand for all before them, so a chain broken at its start is not
// cached.
TEST(Router, PrefixAwareMatchesFromTheFirstBlockOn) {
  PrefixMemory memory(10'000);
  memory.add(of_blocks({1, 2, 3}));
  EXPECT_EQ(memory.match(of_blocks({5, 2, 3})), 0);
  EXPECT_EQ(memory.match(of_blocks({1, 2, 5})), 200);
}

// Load guard: 65 requests of one prefix go to replica 0; then it has more than 64 beyond replica 1's none,
// and more than 1.5 times as many: the next goes to 1, and as both know the prefix now, to the less loaded
// from then.
TEST(Router, PrefixAwareGuardsTheLoad) {
  Router r = router(Policy::prefix_aware, 2);
  for (int i = 0; i < 65; ++i) ASSERT_EQ(r.choose(of_blocks({1, 2})), 0u) << i;
  EXPECT_EQ(r.choose(of_blocks({1, 2})), 1u);
  EXPECT_EQ(r.choose(of_blocks({1, 2})), 1u) << "64 apart, a tie of the match: the fewer requests";
}

// Room for three blocks: 1-2-3, then 4 drops the least recently used. The chain is touched from its end, so
// that 3 goes first.
TEST(PrefixMemory, DropsTheEndOfTheOldestChain) {
  PrefixMemory memory(300);
  memory.add(of_blocks({1, 2, 3}));
  memory.add(of_blocks({4}));
  EXPECT_EQ(memory.match(of_blocks({1, 2, 3})), 200);
  EXPECT_EQ(memory.match(of_blocks({4})), 100);
  memory.add(of_blocks({1}));  // used again: 2 is the oldest now
  memory.add(of_blocks({5}));
  EXPECT_EQ(memory.match(of_blocks({1, 2})), 100);
}

RouterOptions read(const std::string& json) {
  const JsonValue value = JsonValue::parse(json, "a.json");
  return read_router(&value);
}

std::string error_of(const std::string& json) {
  try {
    read(json);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ReadRouter, NamesAndThresholds) {
  EXPECT_EQ(read_router(nullptr).policy, Policy::round_robin);
  EXPECT_EQ(read(R"("least_requests")").policy, Policy::least_requests);
  const RouterOptions options = read(R"({"policy": "prefix_aware", "balance_abs_threshold": 8})");
  EXPECT_EQ(options.policy, Policy::prefix_aware);
  EXPECT_EQ(options.balance_abs_threshold, 8);
  EXPECT_EQ(options.cache_threshold, 0.3);
}

TEST(ReadRouter, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(error_of(R"("round_robbin")"), HasSubstr("did you mean 'round_robin'"));
  EXPECT_THAT(error_of(R"({"policy": "round_robin", "cache_threshold": 0.5})"),
              HasSubstr("prefix_aware only"));
  EXPECT_THAT(error_of(R"({"policy": "prefix_aware", "cache_threshold": 1.5})"),
              HasSubstr("cache_threshold"));
}

}  // namespace
}  // namespace sextant
