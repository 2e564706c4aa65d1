#include <algorithm>

#include "sim/serving/kv_cache.hpp"

// What the prefix cache has of a prompt.

namespace sextant {

KvCache::Place KvCache::place(const PromptBlocks& prompt, std::int64_t block) const {
  const std::int64_t last_token = (block + 1) * block_size_ - 1;
  const std::int64_t index = last_token / prompt.hash_block_tokens;
  const std::int64_t first = (index * prompt.hash_block_tokens + block_size_) / block_size_ - 1;
  return {(*prompt.names)[static_cast<std::size_t>(index)], static_cast<std::uint32_t>(block - first)};
}

std::uint32_t KvCache::find_named(const ByName& table, Place place) const {
  const auto found = table.find(place.name);
  if (found == table.end() || place.offset >= found->second.size()) return none;
  return found->second[place.offset];
}

/// Of the first `blocks` blocks of tokens those before the window of the token behind them.
std::int64_t KvCache::blocks_before(std::size_t window, std::int64_t blocks) const {
  return pool_.blocks_left(window, blocks * block_size_);
}

/// The most of the prompt's first `blocks` blocks that one window has what it needs of: as many one after
/// another as it covers, or all from the first on (SlidingWindowManager.find_longest_cache_hit).
std::int64_t KvCache::find_window(std::size_t window, const PromptBlocks& prompt, std::int64_t blocks,
                                  bool watched) {
  std::int64_t end = blocks;
  for (std::int64_t block = blocks; block-- > 0;) {
    const std::uint32_t node = find_named(by_name_[window + 1], place(prompt, block));
    if (watched && node != none) watch(node);
    if (node == none)
      end = block;
    else if (block <= blocks_before(window, end))
      return end;
  }
  return end;
}

KvCache::Hit KvCache::find(const PromptBlocks& prompt, std::int64_t tokens, const Holding& holding) {
  if (!enabled_) return {};
  const std::int64_t most = (tokens - 1) / block_size_;
  const std::int64_t named = prompt.names ? std::min(most, prompt.named_tokens / block_size_) : 0;
  Hit hit = named > 0 ? find_names(prompt, named) : Hit{};
  if (hit.blocks < named) return hit;
  const std::int64_t parked = std::min(parked_blocks(holding), most - hit.blocks);
  if (parked == 0) return hit;
  hit.blocks += parked;
  hit.from_queue += parked * pool_.full_groups;
  for (std::size_t w = 0; w < pool_.windows.size(); ++w)
    hit.from_queue += own_in_window(w, named, hit.blocks) * pool_.windows[w].groups;
  return hit;
}

/// What is asked for a second time is watched from then on: most prompts are asked for once.
KvCache::Hit KvCache::find_names(const PromptBlocks& prompt, std::int64_t named) {
  const bool again = lookup_.names == prompt.names && lookup_.named == named &&
                     lookup_.hash_block_tokens == prompt.hash_block_tokens;
  if (again && lookup_.known) return lookup_.hit;
  forget_lookup();
  lookup_.names = prompt.names;
  lookup_.named = named;
  lookup_.hash_block_tokens = prompt.hash_block_tokens;
  const Hit hit = look_up(prompt, named, again);
  lookup_.known = again;
  lookup_.hit = hit;
  return hit;
}

KvCache::Hit KvCache::look_up(const PromptBlocks& prompt, std::int64_t named, bool watched) {
  Hit hit;
  lookup_.missed.reset();
  std::int64_t found = pool_.full_groups > 0 ? 0 : named;
  for (; found < named; ++found) {
    const Place at = place(prompt, found);
    const std::uint32_t node = find_named(by_name_[0], at);
    if (node == none) {
      lookup_.missed = at;
      break;
    }
    if (nodes_[node].users == 0) hit.from_queue += nodes_[node].count;
    if (watched) watch(node);
  }
  if (!pool_.windows.empty()) {
    for (std::int64_t before = -1; before != found;) {
      before = found;
      for (std::size_t w = 0; w < pool_.windows.size(); ++w) found = find_window(w, prompt, found, watched);
    }
    hit.from_queue = pool_.full_groups > 0 ? free_among(by_name_[0], prompt, 0, found) : 0;
    for (std::size_t w = 0; w < pool_.windows.size(); ++w)
      hit.from_queue += free_among(by_name_[w + 1], prompt, blocks_before(w, found), found);
  }
  hit.blocks = found;
  return hit;
}

/// Of a prompt's blocks from `begin` on those of the pool that nobody holds; all of them are known.
std::int64_t KvCache::free_among(const ByName& table, const PromptBlocks& prompt, std::int64_t begin,
                                 std::int64_t end) const {
  std::int64_t free = 0;
  for (std::int64_t block = begin; block < end; ++block)
    if (const Node& node = nodes_[find_named(table, place(prompt, block))]; node.users == 0)
      free += node.count;
  return free;
}

void KvCache::watch(std::uint32_t node) {
  if (nodes_[node].watched) return;
  nodes_[node].watched = true;
  lookup_.watched.push_back(node);
}

/// The next time it is looked up anew, and watched.
void KvCache::forget_lookup() {
  for (const std::uint32_t node : lookup_.watched) nodes_[node].watched = false;
  lookup_.watched.clear();
  lookup_.known = false;
}

void KvCache::forget_lookup_that_missed(std::uint8_t table, Place at) {
  if (!lookup_.known) return;
  const auto& missed = lookup_.missed;
  if (table > 0 || (missed && missed->name == at.name && missed->offset == at.offset)) forget_lookup();
}

/// Blocks without a name that a prompt's first `blocks` blocks leave in a window.
std::int64_t KvCache::own_in_window(std::size_t window, std::int64_t named, std::int64_t blocks) const {
  return blocks - std::max(named, blocks_before(window, blocks));
}

/// Of its own blocks those that a preempted request can go on behind. Where there are windows all must be
/// there, as what lay before them was given back earlier.
std::int64_t KvCache::parked_blocks(const Holding& holding) const {
  if (holding.parked == none) return 0;
  const std::int64_t blocks = nodes_[holding.parked].count / pool_.full_groups;
  if (pool_.windows.empty()) return blocks;
  if (blocks != holding.parked_blocks) return 0;
  for (std::size_t w = 0; w < holding.windows.size(); ++w) {
    const WindowHolding& window = holding.windows[w];
    if (window.parked != none && nodes_[window.parked].count < window.parked_blocks * pool_.windows[w].groups)
      return 0;
  }
  return blocks;
}

}  // namespace sextant
