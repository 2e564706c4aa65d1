#include "models/llm/kv_pool.hpp"

#include <gtest/gtest.h>

#include "models/llm/catalogue.hpp"
#include "models/llm/memory.hpp"

namespace sextant {
namespace {

struct Pooled {
  Architecture model;
  KvPool pool;
  double bytes(LayerRange layers) const {
    return block_bytes(pool, model, kv_format("bf16"), {layers, 1, false, false});
  }
  double bytes() const { return bytes({0, model.layer_count()}); }
  /// Blocks of a request between two passes.
  std::int64_t held(std::int64_t tokens) const {
    std::int64_t blocks = pool.full_groups * pool.token_blocks(tokens) + pool.state_groups;
    for (std::size_t w = 0; w < pool.windows.size(); ++w)
      blocks += pool.windows[w].groups * (pool.token_blocks(tokens) - pool.blocks_left(w, tokens));
    return blocks;
  }
};

Pooled pooled(const char* name, std::int64_t tp = 1, bool hybrid = true) {
  Pooled result{find_model(name).architecture, {}};
  result.pool = kv_pool(result.model, kv_format("bf16"), tp, 16, hybrid);
  return result;
}

TEST(KvPool, OfADenseModelIsOneGroup) {
  const Pooled llama = pooled("llama-3.1-8b");
  EXPECT_TRUE(llama.pool.plain());
  EXPECT_EQ(llama.held(1000), 63);
  EXPECT_DOUBLE_EQ(llama.bytes(), 16 * 131'072.0);
}

// 18 full layers, 18 with a window of 128: two groups of 18. A page: 16 tokens x 2 x 8 heads x 64 x 2 B =
// 32,768 B. 1000 tokens are 63 blocks; of the window's, (1000 - 128 + 1) / 16 = 54 have left, so 63 + 9 = 72:
// 42.5 MB where one group of 36 layers would take 63 x 1.18 = 74.3. In 10,000 blocks 138 such requests.
TEST(KvPool, OfGptOssIsTwoGroups) {
  const Pooled oss = pooled("gpt-oss-120b");
  EXPECT_EQ(oss.pool.full_groups, 1);
  EXPECT_EQ(oss.pool.windows, (std::vector<KvPool::Window>{{128, 1}}));
  EXPECT_DOUBLE_EQ(oss.bytes(), 18 * 32'768.0);
  EXPECT_EQ(oss.held(1000), 72);
  EXPECT_EQ(10'000 / oss.held(1000), 138);
  // While it is prefilled 8192 tokens at a time: 63 + 63; of 131,072 tokens 8192 + (127 + 8192) / 16 + 1.
  EXPECT_EQ(oss.pool.most_blocks(1000, 8192), 126);
  EXPECT_EQ(oss.pool.most_blocks(131'072, 8192), 8192 + 520 + 1);
  // Two stages of 18 layers have 9 of each kind.
  EXPECT_DOUBLE_EQ(oss.bytes({0, 18}), 9 * 32'768.0);
  // The manager off: one group of 36 layers that keep everything.
  const Pooled plain = pooled("gpt-oss-120b", 1, false);
  EXPECT_TRUE(plain.pool.plain());
  EXPECT_DOUBLE_EQ(plain.bytes(), 36 * 32'768.0);
}

// 62 layers, every sixth full: 10, and 52 with a window of 1024. Groups of 10 layers: 1 and ceil(52 / 10) =
// 6, 8 places of which are padding. A page: 16 x 2 x 16 heads x 128 x 2 B = 131,072 B. 4096 tokens: 256
// blocks, of each window's (4096 - 1024 + 1) / 16 = 192 have left: 256 + 6 x 64 = 640.
TEST(KvPool, OfGemma3IsSevenGroups) {
  const Pooled gemma = pooled("gemma-3-27b");
  EXPECT_EQ(gemma.pool.full_groups, 1);
  EXPECT_EQ(gemma.pool.windows, (std::vector<KvPool::Window>{{1024, 6}}));
  EXPECT_DOUBLE_EQ(gemma.bytes(), 10 * 131'072.0);
  EXPECT_EQ(gemma.held(4096), 640);
  EXPECT_EQ(10'000 / gemma.held(4096), 15);
  EXPECT_EQ(gemma.pool.blocks_at_once(), 7);
}

// 40 Mamba and 8 attention layers: groups of 8, five of states and one full. A state: 8192 x 128 x 4 B +
// 10240 channels x 3 x 2 B = 4,255,744 B; a token of a layer: 2 x 2 x 128 x 2 = 1024 B. A page of whole 16
// tokens that holds a state: 16 x ceil(4,255,744 / 16,384) = 16 x 260 = 4160 tokens, and a block 8 x 4160 x
// 1024 B = 34.1 MB. So a request of 1000 tokens takes 1 + 5 blocks, 204 MB, and one of 10,000 takes 3 + 5.
TEST(KvPool, OfNemotron3SuperHasPagesThatHoldAState) {
  const Pooled super = pooled("nemotron-3-super-120b-a12b");
  EXPECT_EQ(super.pool.full_groups, 1);
  EXPECT_EQ(super.pool.state_groups, 5);
  EXPECT_TRUE(super.pool.windows.empty());
  EXPECT_EQ(super.pool.block_tokens, 4160);
  EXPECT_DOUBLE_EQ(super.bytes(), 34'078'720);
  EXPECT_EQ(super.held(1000), 6);
  EXPECT_EQ(super.held(10'000), 8);
  EXPECT_EQ(300 / super.held(1000), 50);
  // Two GPUs halve states (with half of B and C) and heads alike; four halve the states once more, but each
  // keeps one of the two key/value heads: 512 B a token.
  EXPECT_EQ(pooled("nemotron-3-super-120b-a12b", 2).pool.block_tokens, 4160);
  EXPECT_EQ(pooled("nemotron-3-super-120b-a12b", 4).pool.block_tokens, 2080);
}

// Chunked attention turns the manager off: 48 layers in one group.
TEST(KvPool, OfLlama4ScoutKeepsEverything) {
  const Pooled scout = pooled("llama-4-scout-17b-16e-fp8", 2);
  EXPECT_TRUE(scout.pool.plain());
  EXPECT_EQ(scout.held(20'000), 1250);
}

// A window of 128 with blocks of 16: of 142 tokens none has wholly left (142 - 127 = 15), of 143 the
// first 16.
TEST(KvPool, ABlockLeavesWithItsLastToken) {
  KvPool pool;
  pool.windows = {{128, 1}};
  EXPECT_EQ(pool.blocks_left(0, 0), 0);
  EXPECT_EQ(pool.blocks_left(0, 142), 0);
  EXPECT_EQ(pool.blocks_left(0, 143), 1);
  EXPECT_EQ(pool.blocks_left(0, 158), 1);
  EXPECT_EQ(pool.blocks_left(0, 159), 2);
}

// Every model of the catalogue has a pool whose groups together hold all layers that keep something.
TEST(KvPool, OfEveryModelHoldsItsLayers) {
  for (const std::string& name : model_names()) {
    const Pooled any = pooled(name.c_str());
    EXPECT_GT(any.pool.blocks_at_once() + any.pool.state_groups, 0) << name;
    const SequenceCache own =
        sequence_cache(any.model, kv_format("bf16"), {{0, any.model.layer_count()}, 1, false, false});
    const std::int64_t tokens = any.pool.block_tokens;
    EXPECT_GE(any.bytes() * static_cast<double>(any.held(tokens)) * (1 + 1e-12), own.bytes(tokens)) << name;
  }
}

}  // namespace
}  // namespace sextant
