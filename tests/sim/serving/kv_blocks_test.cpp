#include <gtest/gtest.h>

#include "sim/serving/replica_model.hpp"

namespace sextant {
namespace {

StageMemory with_room_for(double tokens) {
  StageMemory stage;
  stage.budget.usable = tokens * 1000;
  stage.budget.kv_bytes_per_token = 1000;
  stage.budget.block_bytes = 16 * 1000;
  return stage;
}

// Stages with room for 1,000 and 805 tokens: 62 and 50 whole blocks of 16; vLLM's block pool takes one of the
// 50 as its null block. What leaves room for that one alone leaves none.
TEST(KvBlocks, TightestStageLessTheEnginesOwn) {
  EngineOptions options;
  EXPECT_EQ(kv_blocks({with_room_for(1000), with_room_for(805)}, options), 50);
  options.reserved_kv_blocks = 1;
  EXPECT_EQ(kv_blocks({with_room_for(1000), with_room_for(805)}, options), 49);
  EXPECT_EQ(kv_blocks({with_room_for(20)}, options), 0);
  EXPECT_EQ(kv_blocks({}, options), 0);
}

// 20 blocks fit; with states in the pool vLLM wants one for each of max_num_seqs.
TEST(KvBlocks, OfStatesMustBeAsManyAsMayRun) {
  StageMemory stage = with_room_for(320);
  stage.budget.pool.state_groups = 5;
  stage.budget.sequences = 20;
  EXPECT_EQ(kv_blocks({stage}, {}), 20);
  stage.budget.sequences = 21;
  EXPECT_EQ(kv_blocks({stage}, {}), 0);
}

}  // namespace
}  // namespace sextant
