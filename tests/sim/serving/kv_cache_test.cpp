#include "sim/serving/kv_cache.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

PromptBlocks names(std::vector<std::uint64_t> ids, std::int64_t named_tokens, std::int64_t block = 32) {
  PromptBlocks blocks;
  blocks.names = std::make_shared<const std::vector<std::uint64_t>>(std::move(ids));
  blocks.named_tokens = named_tokens;
  blocks.hash_block_tokens = block;
  return blocks;
}

/// Admits a prompt and takes blocks for all of it; the blocks found in the cache.
std::int64_t admit(KvCache& cache, const PromptBlocks& prompt, std::int64_t tokens, KvCache::Holding& held) {
  const KvCache::Hit hit = cache.find(prompt, tokens, held);
  cache.take(prompt, hit, held);
  cache.allocate((tokens + 15) / 16 - hit.blocks, held);
  cache.name_full_blocks(prompt, tokens, held);
  return hit.blocks;
}

// Blocks of 16, a prompt of 70 tokens all of which are named: 4 full blocks and one of 6 tokens. The same
// prompt again finds the 4, whether the first still runs or has ended; one that parts after the first name
// (32 tokens) finds 2.
TEST(KvCache, FindsFullBlocksOfEqualNames) {
  KvCache cache(100, 16, true);
  KvCache::Holding first, second, other;
  EXPECT_EQ(admit(cache, names({1, 2, 3}, 70), 70, first), 0);
  EXPECT_EQ(cache.free(), 95);
  EXPECT_EQ(admit(cache, names({1, 2, 3}, 70), 70, second), 4);
  EXPECT_EQ(cache.free(), 94) << "only the last, partly filled block is new";
  cache.release(first);
  EXPECT_EQ(cache.free(), 95) << "the second still holds the other four";
  cache.release(second);
  EXPECT_EQ(cache.free(), 100);
  const KvCache::Hit hit = cache.find(names({1, 9}, 64), 64, other);
  EXPECT_EQ(hit.blocks, 2);
  EXPECT_EQ(hit.from_queue, 2);
}

// 64 tokens are 4 full blocks, but the last token must be computed to yield one: 3 are taken, and the fourth
// is computed again. Two blocks of that content then exist, and either serves the next prompt.
TEST(KvCache, TheLastTokenIsAlwaysComputed) {
  KvCache cache(6, 16, true);
  KvCache::Holding first, second, longer;
  admit(cache, names({1, 2}, 64), 64, first);
  EXPECT_EQ(admit(cache, names({1, 2}, 64), 64, second), 3);
  cache.release(first);
  cache.release(second);
  // In the queue: the one never used (5 of 6 were), the first's fourth block, the second's fourth, then 3, 2,
  // 1 (last first). Two blocks taken leave one copy of the fourth.
  KvCache::Holding taker;
  cache.allocate(2, taker);
  EXPECT_EQ(cache.find(names({1, 2}, 64), 65, longer).blocks, 4);
  cache.allocate(1, taker);
  EXPECT_EQ(cache.find(names({1, 2}, 64), 65, longer).blocks, 3);
}

// 10 blocks. A's prompt of 48 tokens is freed, then B's: A's last block is the first to go after the 4 blocks
// never used, then A's others, and B's only after them.
TEST(KvCache, ForgetsTheBlockFreedLongestAgoFirst) {
  KvCache cache(10, 16, true);
  KvCache::Holding a, b, taker, probe;
  const PromptBlocks first = names({1, 2}, 48), second = names({3, 4}, 48);
  admit(cache, first, 48, a);
  admit(cache, second, 48, b);
  cache.release(a);
  cache.release(b);
  const auto found = [&](const PromptBlocks& prompt) { return cache.find(prompt, 1000, probe).blocks; };
  cache.allocate(4, taker);
  EXPECT_EQ(found(first), 3);
  cache.allocate(1, taker);
  EXPECT_EQ(found(first), 2) << "its last block went first";
  cache.allocate(2, taker);
  EXPECT_EQ(found(first), 0);
  EXPECT_EQ(found(second), 3);
  // A hit takes B's blocks out of the queue: nothing is left to take, and afterwards they are there again.
  KvCache::Holding again;
  cache.take(second, cache.find(second, 49, again), again);
  EXPECT_EQ(cache.free(), 0);
  cache.release(again);
  EXPECT_EQ(found(second), 3);
}

// A preempted request finds its own blocks again, named or not: 100 tokens are 6 full blocks and a part. Of
// them the queue has handed out the last two when it comes back: 4 are left.
TEST(KvCache, APreemptedRequestFindsWhatIsLeftOfItsBlocks) {
  KvCache cache(8, 16, true);
  KvCache::Holding held, taker;
  const PromptBlocks none;
  cache.allocate(7, held);
  cache.release(held, 100);
  EXPECT_EQ(cache.free(), 8);
  EXPECT_EQ(cache.find(none, 101, held).blocks, 6);
  cache.allocate(4, taker);  // the unused one, the partly filled one, two full ones
  const KvCache::Hit hit = cache.find(none, 101, held);
  EXPECT_EQ(hit.blocks, 4);
  EXPECT_EQ(hit.from_queue, 4);
  cache.take(none, hit, held);
  EXPECT_EQ(cache.free(), 0);
  EXPECT_EQ(held.blocks, 4);
}

// Named for the first 32 tokens only: the blocks behind them are found by the request itself and by no other.
TEST(KvCache, NamedAndOwnBlocksOfAPreemptedRequest) {
  KvCache cache(20, 16, true);
  KvCache::Holding held, other;
  const PromptBlocks prompt = names({1}, 32);
  admit(cache, prompt, 90, held);
  cache.release(held, 90);
  EXPECT_EQ(cache.find(prompt, 91, other).blocks, 2);
  EXPECT_EQ(cache.find(prompt, 91, held).blocks, 5);
}

TEST(KvCache, SwitchedOffNothingIsFound) {
  KvCache cache(20, 16, false);
  KvCache::Holding held, other;
  const PromptBlocks prompt = names({1, 2, 3}, 90);
  EXPECT_EQ(admit(cache, prompt, 90, held), 0);
  cache.release(held, 90);
  EXPECT_EQ(cache.find(prompt, 91, held).blocks, 0);
  EXPECT_EQ(cache.find(prompt, 91, other).blocks, 0);
}

// Mooncake's blocks of 512 tokens are 32 of 16 each: a prompt of 1,040 tokens has 65. A block size that does
// not divide them: blocks of 48 end at 48, 96, ..., 528; the 11th reaches beyond 512, so the second name
// tells whether it is equal.
TEST(KvCache, NamedBlocksAreCutIntoKvBlocks) {
  KvCache cache(1000, 16, true);
  KvCache::Holding held, other;
  admit(cache, names({1, 2, 3}, 1040, 512), 1040, held);
  EXPECT_EQ(cache.find(names({1, 2, 3}, 1040, 512), 2000, other).blocks, 65);
  EXPECT_EQ(cache.find(names({1, 2, 4}, 1040, 512), 2000, other).blocks, 64);
  EXPECT_EQ(cache.find(names({1, 5}, 1024, 512), 2000, other).blocks, 32);
  KvCache odd(1000, 48, true);
  KvCache::Holding held_odd;
  const KvCache::Hit nothing = odd.find(names({1, 2}, 1024, 512), 1024, held_odd);
  EXPECT_EQ(nothing.blocks, 0);
  odd.allocate(22, held_odd);
  odd.name_full_blocks(names({1, 2}, 1024, 512), 1024, held_odd);
  EXPECT_EQ(odd.find(names({1, 2}, 1024, 512), 2000, other).blocks, 21);
  EXPECT_EQ(odd.find(names({1, 7}, 1024, 512), 2000, other).blocks, 10);
}

/// Layers that keep everything and layers that keep 32 tokens, a group each.
KvPool two_groups() {
  KvPool pool;
  pool.windows = {{32, 1}};
  return pool;
}

// 70 tokens are 5 blocks in each of two groups. Once all are computed (70 - 31) / 16 = 2 blocks have left the
// window; the request then holds 5 + 3.
TEST(KvCache, BlocksThatLeftTheirWindowAreFree) {
  KvCache cache(100, two_groups(), true);
  KvCache::Holding held;
  EXPECT_EQ(cache.cost(held, 5), 10);
  cache.allocate(5, held);
  EXPECT_EQ(cache.free(), 90);
  cache.slide(held, 70);
  EXPECT_EQ(cache.free(), 92);
  EXPECT_EQ(held.windows[0].left, 2);
  cache.slide(held, 70);
  EXPECT_EQ(cache.free(), 92) << "once";
  cache.release(held);
  EXPECT_EQ(cache.free(), 100);
}

// A prompt that starts with 4 known blocks takes them in the first group and, of the window's, the last two:
// the window of token 64 begins with token 33, so that (64 - 31) / 16 = 2 are not needed.
TEST(KvCache, AHitTakesOfAWindowWhatItNeeds) {
  KvCache cache(100, two_groups(), true);
  KvCache::Holding first, second;
  EXPECT_EQ(admit(cache, names({1, 2, 3}, 70), 70, first), 0);
  cache.slide(first, 70);
  EXPECT_EQ(cache.free(), 92);
  const KvCache::Hit hit = cache.find(names({1, 2, 3}, 70), 70, second);
  EXPECT_EQ(hit.blocks, 4);
  EXPECT_EQ(hit.from_queue, 0) << "the first still holds all of them";
  EXPECT_EQ(cache.cost(hit, 5), 2);
  cache.take(names({1, 2, 3}, 70), hit, second);
  EXPECT_EQ(second.windows[0].left, 2);
  cache.allocate(1, second);
  EXPECT_EQ(cache.free(), 90);
  cache.release(first);
  cache.release(second);
  EXPECT_EQ(cache.free(), 100);
}

// The same start of 2 blocks: the first group has them, in use; the window's are free but known, until others
// need the room. From then on nothing can be gone on from, though the first group has it all.
TEST(KvCache, AHitNeedsEveryGroup) {
  KvCache cache(20, two_groups(), true);
  KvCache::Holding first, taker, other;
  admit(cache, names({1, 2, 3}, 70), 70, first);
  cache.slide(first, 70);
  KvCache::Hit hit = cache.find(names({1, 9}, 64), 64, other);
  EXPECT_EQ(hit.blocks, 2);
  EXPECT_EQ(hit.from_queue, 2);
  // 12 blocks are free, the 10 never used in front; the 12 taken are the last two as well.
  cache.allocate(6, taker);
  EXPECT_EQ(cache.free(), 0);
  hit = cache.find(names({1, 9}, 64), 64, other);
  EXPECT_EQ(hit.blocks, 0);
  EXPECT_EQ(hit.from_queue, 0);
}

// Preempted at 70 tokens, its four full blocks without a name are found again, and of the window's the two
// that it takes; once one of them is taken by another, nothing is.
TEST(KvCache, APreemptedRequestNeedsItsWindowsToo) {
  KvCache cache(100, two_groups(), true);
  KvCache::Holding held, taker;
  cache.allocate(5, held);
  cache.slide(held, 70);
  cache.release(held, 70);
  EXPECT_EQ(cache.free(), 100);
  KvCache::Hit hit = cache.find({}, 71, held);
  EXPECT_EQ(hit.blocks, 4);
  EXPECT_EQ(hit.from_queue, 4 + 2);
  cache.take({}, hit, held);
  EXPECT_EQ(cache.free(), 94);
  EXPECT_EQ(held.windows[0].left, 2);
  cache.release(held, 64);
  // All but one block go to another: the front of the queue, and with it some of what was left behind.
  cache.allocate(49, taker);
  EXPECT_EQ(cache.find({}, 71, held).blocks, 0);
}

// Six of its blocks are the states of as many groups, from the first token on and whatever comes.
TEST(KvCache, AStateTakesItsBlocksOnce) {
  KvPool pool;
  pool.block_tokens = 4160;
  pool.state_groups = 5;
  KvCache cache(20, pool, true);
  KvCache::Holding held;
  EXPECT_EQ(cache.cost(KvCache::Hit{}, 1), 6);
  cache.allocate(1, held);
  EXPECT_EQ(cache.free(), 14);
  EXPECT_EQ(cache.cost(held, 2), 1);
  cache.allocate(1, held);
  EXPECT_EQ(cache.free(), 13);
  cache.release(held, 5000);
  EXPECT_EQ(cache.free(), 20);
  EXPECT_EQ(cache.find({}, 5000, held).blocks, 0) << "no state of an earlier token is kept";
}

}  // namespace
}  // namespace sextant
