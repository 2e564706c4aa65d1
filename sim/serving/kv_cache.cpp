#include "sim/serving/kv_cache.hpp"

#include <algorithm>
#include <cassert>

namespace sextant {

KvCache::KvCache(std::int64_t blocks, std::int64_t block_size, bool enable_prefix_caching)
    : blocks_(blocks), block_size_(block_size), free_(blocks), enabled_(enable_prefix_caching) {
  append_nameless(blocks);
}

KvCache::Place KvCache::place(const PromptBlocks& prompt, std::int64_t block) const {
  const std::int64_t last_token = (block + 1) * block_size_ - 1;
  const std::int64_t index = last_token / prompt.hash_block_tokens;
  const std::int64_t first = (index * prompt.hash_block_tokens + block_size_) / block_size_ - 1;
  return {(*prompt.names)[static_cast<std::size_t>(index)], static_cast<std::uint32_t>(block - first)};
}

std::uint32_t KvCache::find_named(Place place) const {
  const auto found = by_name_.find(place.name);
  if (found == by_name_.end() || place.offset >= found->second.size()) return none;
  return found->second[place.offset];
}

KvCache::Hit KvCache::find(const PromptBlocks& prompt, std::int64_t tokens, const Holding& holding) const {
  Hit hit;
  if (!enabled_) return hit;
  const std::int64_t most = (tokens - 1) / block_size_;
  const std::int64_t named = prompt.names ? std::min(most, prompt.named_tokens / block_size_) : 0;
  for (; hit.blocks < named; ++hit.blocks) {
    const std::uint32_t node = find_named(place(prompt, hit.blocks));
    if (node == none) return hit;
    if (nodes_[node].users == 0) ++hit.from_queue;
  }
  const std::int64_t parked = std::min(parked_blocks(holding), most - hit.blocks);
  hit.blocks += parked;
  hit.from_queue += parked;
  return hit;
}

void KvCache::take(const PromptBlocks& prompt, const Hit& hit, Holding& holding) {
  const std::int64_t named = prompt.names ? std::min(hit.blocks, prompt.named_tokens / block_size_) : 0;
  for (std::int64_t block = 0; block < named; ++block) {
    const std::uint32_t node = find_named(place(prompt, block));
    if (nodes_[node].users++ == 0) {
      unlink(node);
      --free_;
    }
    holding.named.push_back(node);
  }
  if (const std::int64_t own = hit.blocks - named; own > 0) {
    Node& parked = nodes_[holding.parked];
    parked.count -= own;
    free_ -= own;
  }
  forget_parked(holding);
  holding.blocks = hit.blocks;
}

void KvCache::allocate(std::int64_t count, Holding& holding) {
  evict(count);
  holding.blocks += count;
}

void KvCache::name_full_blocks(const PromptBlocks& prompt, std::int64_t tokens, Holding& holding) {
  if (!enabled_ || !prompt.names) return;
  const std::int64_t full = std::min(tokens, prompt.named_tokens) / block_size_;
  for (auto block = static_cast<std::int64_t>(holding.named.size()); block < full; ++block) {
    const std::uint32_t node = new_node(Node::Kind::named, 1);
    const Place at = place(prompt, block);
    nodes_[node].users = 1;
    nodes_[node].name = at.name;
    nodes_[node].offset = at.offset;
    holding.named.push_back(node);
    std::vector<std::uint32_t>& blocks = by_name_[at.name];
    if (at.offset >= blocks.size()) blocks.resize(at.offset + 1, none);
    std::uint32_t* last = &blocks[at.offset];
    while (*last != none) last = &nodes_[*last].twin;
    *last = node;
  }
}

void KvCache::release(Holding& holding, std::int64_t parked_tokens) {
  const auto named = static_cast<std::int64_t>(holding.named.size());
  std::int64_t own = holding.blocks - named;
  const std::int64_t parked =
      enabled_ ? std::clamp<std::int64_t>(parked_tokens / block_size_ - named, 0, own) : 0;
  append_nameless(own - parked);
  if (parked > 0) {
    holding.parked = new_node(Node::Kind::parked, parked);
    append(holding.parked);
  }
  free_ += own;
  for (std::size_t i = holding.named.size(); i-- > 0;)
    if (const std::uint32_t node = holding.named[i]; --nodes_[node].users == 0) {
      append(node);
      ++free_;
    }
  holding.named.clear();
  holding.blocks = 0;
}

void KvCache::forget_parked(Holding& holding) {
  if (holding.parked == none) return;
  const std::uint32_t node = holding.parked;
  holding.parked = none;
  if (nodes_[node].queued)
    nodes_[node].kind = Node::Kind::nameless;
  else
    recycle(node);
}

std::uint32_t KvCache::new_node(Node::Kind kind, std::int64_t count) {
  std::uint32_t node;
  if (unused_.empty()) {
    node = static_cast<std::uint32_t>(nodes_.size());
    nodes_.emplace_back();
  } else {
    node = unused_.back();
    unused_.pop_back();
    nodes_[node] = Node{};
  }
  nodes_[node].kind = kind;
  nodes_[node].count = count;
  return node;
}

void KvCache::append(std::uint32_t node) {
  nodes_[node].previous = tail_;
  nodes_[node].next = none;
  nodes_[node].queued = true;
  (tail_ == none ? head_ : nodes_[tail_].next) = node;
  tail_ = node;
}

void KvCache::unlink(std::uint32_t node) {
  Node& n = nodes_[node];
  (n.previous == none ? head_ : nodes_[n.previous].next) = n.next;
  (n.next == none ? tail_ : nodes_[n.next].previous) = n.previous;
  n.previous = n.next = none;
  n.queued = false;
}

void KvCache::append_nameless(std::int64_t count) {
  if (count == 0) return;
  if (tail_ != none && nodes_[tail_].kind == Node::Kind::nameless)
    nodes_[tail_].count += count;
  else
    append(new_node(Node::Kind::nameless, count));
}

/// Takes blocks from the front of the queue.
void KvCache::evict(std::int64_t count) {
  assert(count <= free_);
  free_ -= count;
  while (count > 0) {
    const std::uint32_t front = head_;
    const std::int64_t taken = std::min(count, nodes_[front].count);
    count -= taken;
    nodes_[front].count -= taken;
    if (nodes_[front].count > 0) return;
    unlink(front);
    if (nodes_[front].kind == Node::Kind::named) forget_name(front);
    // Of a preempted request's blocks none are left, which it will find when it comes back.
    if (nodes_[front].kind != Node::Kind::parked) recycle(front);
  }
}

void KvCache::forget_name(std::uint32_t node) {
  const auto found = by_name_.find(nodes_[node].name);
  std::vector<std::uint32_t>& blocks = found->second;
  std::uint32_t* link = &blocks[nodes_[node].offset];
  while (*link != node) link = &nodes_[*link].twin;
  *link = nodes_[node].twin;
  while (!blocks.empty() && blocks.back() == none) blocks.pop_back();
  if (blocks.empty()) by_name_.erase(found);
}

}  // namespace sextant
