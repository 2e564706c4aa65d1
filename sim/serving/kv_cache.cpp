#include "sim/serving/kv_cache.hpp"

#include <algorithm>
#include <cassert>

namespace sextant {
namespace {

KvPool plain_pool(std::int64_t block_size) {
  KvPool pool;
  pool.block_tokens = block_size;
  return pool;
}

}  // namespace

// vLLM leaves prefix caching off where layers keep states, unless told.
KvCache::KvCache(std::int64_t blocks, const KvPool& pool, bool enable_prefix_caching)
    : pool_(pool),
      blocks_(blocks),
      block_size_(pool.block_tokens),
      free_(blocks),
      at_once_(pool.blocks_at_once()),
      enabled_(enable_prefix_caching && pool.state_groups == 0),
      by_name_(1 + pool.windows.size()) {
  append_nameless(blocks);
}

KvCache::KvCache(std::int64_t blocks, std::int64_t block_size, bool enable_prefix_caching)
    : KvCache(blocks, plain_pool(block_size), enable_prefix_caching) {}

void KvCache::use(std::uint32_t node) {
  if (nodes_[node].users++ > 0) return;
  if (nodes_[node].watched) forget_lookup();
  unlink(node);
  free_ -= nodes_[node].count;
}

void KvCache::leave(std::uint32_t node) {
  if (--nodes_[node].users > 0) return;
  if (nodes_[node].watched) forget_lookup();
  append(node);
  free_ += nodes_[node].count;
}

void KvCache::open_windows(Holding& holding) const {
  if (holding.windows.size() != pool_.windows.size()) holding.windows.resize(pool_.windows.size());
}

void KvCache::take_parked(std::uint32_t node, std::int64_t count) {
  nodes_[node].count -= count;
  free_ -= count;
}

void KvCache::take(const PromptBlocks& prompt, const Hit& hit, Holding& holding) {
  open_windows(holding);
  const std::int64_t named = prompt.names ? std::min(hit.blocks, prompt.named_tokens / block_size_) : 0;
  const std::int64_t own = hit.blocks - named;
  std::int64_t anew = 0;
  if (pool_.full_groups > 0)
    for (std::int64_t block = 0; block < named; ++block) {
      const std::uint32_t node = find_named(by_name_[0], place(prompt, block));
      use(node);
      holding.named.push_back(node);
    }
  for (std::size_t w = 0; w < holding.windows.size(); ++w)
    anew += take_window(w, prompt, named, hit.blocks, holding);
  if (own > 0) take_parked(holding.parked, own * pool_.full_groups);
  forget_parked(holding);
  evict(anew);
  holding.blocks = hit.blocks;
}

/// Takes a window's part of what was found; the blocks of the pool that it takes anew.
std::int64_t KvCache::take_window(std::size_t w, const PromptBlocks& prompt, std::int64_t named,
                                  std::int64_t blocks, Holding& holding) {
  WindowHolding& window = holding.windows[w];
  window.left = blocks_before(w, blocks);
  window.first = std::min(window.left, named);
  window.named.clear();
  for (std::int64_t block = window.left; block < named; ++block) {
    const std::uint32_t node = find_named(by_name_[w + 1], place(prompt, block));
    use(node);
    window.named.push_back(node);
  }
  if (blocks == named) return 0;
  // What of it was given back before the preemption is taken to be there still.
  std::int64_t own = own_in_window(w, named, blocks) * pool_.windows[w].groups;
  if (window.parked != none) {
    const std::int64_t parked = std::min(own, nodes_[window.parked].count);
    take_parked(window.parked, parked);
    own -= parked;
  }
  return own;
}

void KvCache::allocate(std::int64_t count, Holding& holding) {
  open_windows(holding);
  evict(count * at_once_);
  if (!holding.state) evict(pool_.state_groups);
  holding.state = true;
  holding.blocks += count;
}

void KvCache::slide(Holding& holding, std::int64_t computed) {
  for (std::size_t w = 0; w < holding.windows.size(); ++w) {
    WindowHolding& window = holding.windows[w];
    const std::int64_t left = std::min(pool_.blocks_left(w, computed), holding.blocks);
    if (left <= window.left) continue;
    // The last in front: of a chain the blocks further on are forgotten first.
    const std::int64_t named_end = std::clamp(left, window.first, window.named_end());
    give_back((left - std::max(window.left, named_end)) * pool_.windows[w].groups);
    const auto count = named_end - window.first;
    for (std::int64_t i = count; i-- > 0;) leave(window.named[static_cast<std::size_t>(i)]);
    window.named.erase(window.named.begin(), window.named.begin() + count);
    window.first = named_end;
    window.left = left;
  }
}

void KvCache::give_back(std::int64_t pool_blocks) {
  append_nameless(pool_blocks);
  free_ += pool_blocks;
}

void KvCache::give_back_named(Holding& holding, std::size_t w) {
  WindowHolding& window = holding.windows[w];
  leave(window.named.front());
  window.named.erase(window.named.begin());
  ++window.first;
}

void KvCache::count_in(Holding& holding, std::int64_t blocks, std::int64_t computed) const {
  holding.blocks = blocks;
  for (std::size_t w = 0; w < holding.windows.size(); ++w)
    holding.windows[w].left = pool_.blocks_left(w, computed);
}

std::uint32_t KvCache::new_named(std::uint8_t table, std::int64_t count, Place at) {
  forget_lookup_that_missed(table, at);
  const std::uint32_t node = new_node(Node::Kind::named, count);
  ByName::value_type& name = *by_name_[table].try_emplace(at.name).first;
  nodes_[node].users = 1;
  nodes_[node].name = &name;
  nodes_[node].offset = at.offset;
  nodes_[node].table = table;
  std::vector<std::uint32_t>& blocks = name.second;
  if (at.offset >= blocks.size()) blocks.resize(at.offset + 1, none);
  std::uint32_t* last = &blocks[at.offset];
  while (*last != none) last = &nodes_[*last].twin;
  *last = node;
  return node;
}

void KvCache::name_full_blocks(const PromptBlocks& prompt, std::int64_t tokens, Holding& holding) {
  if (!enabled_ || !prompt.names) return;
  const std::int64_t full = std::min(tokens, prompt.named_tokens) / block_size_;
  if (pool_.full_groups > 0)
    for (auto block = static_cast<std::int64_t>(holding.named.size()); block < full; ++block)
      holding.named.push_back(new_named(0, pool_.full_groups, place(prompt, block)));
  for (std::size_t w = 0; w < holding.windows.size(); ++w) {
    WindowHolding& window = holding.windows[w];
    if (window.named.empty()) window.first = std::max(window.first, window.left);
    for (std::int64_t block = window.named_end(); block < full; ++block)
      window.named.push_back(
          new_named(static_cast<std::uint8_t>(w + 1), pool_.windows[w].groups, place(prompt, block)));
  }
}

/// Gives back blocks without a name of which `parked` can be found again; the node that holds these.
std::uint32_t KvCache::park(std::int64_t own, std::int64_t parked, std::int64_t groups) {
  append_nameless((own - parked) * groups);
  free_ += own * groups;
  if (parked == 0) return none;
  const std::uint32_t node = new_node(Node::Kind::parked, parked * groups);
  append(node);
  return node;
}

void KvCache::release(Holding& holding, std::int64_t parked_tokens) {
  // Where every layer slides, only names are found again.
  const std::int64_t parked_end = enabled_ && pool_.full_groups > 0 ? parked_tokens / block_size_ : 0;
  const auto named = static_cast<std::int64_t>(holding.named.size());
  if (pool_.full_groups > 0) {
    const std::int64_t own = holding.blocks - named;
    holding.parked_blocks = std::clamp<std::int64_t>(parked_end - named, 0, own);
    if (const auto node = park(own, holding.parked_blocks, pool_.full_groups); node != none)
      holding.parked = node;
    for (std::size_t i = holding.named.size(); i-- > 0;) leave(holding.named[i]);
  }
  for (std::size_t w = 0; w < holding.windows.size(); ++w) {
    WindowHolding& window = holding.windows[w];
    const std::int64_t begin = std::max(window.left, window.named_end());
    const std::int64_t own = holding.blocks - begin;
    window.parked_blocks = std::clamp<std::int64_t>(parked_end - begin, 0, own);
    if (const auto node = park(own, window.parked_blocks, pool_.windows[w].groups); node != none)
      window.parked = node;
    for (std::size_t i = window.named.size(); i-- > 0;) leave(window.named[i]);
    window.named.clear();
    window.first = window.left = 0;
  }
  if (holding.state) give_back(pool_.state_groups);
  holding.state = false;
  holding.named.clear();
  holding.blocks = 0;
}

void KvCache::forget_parked(std::uint32_t& parked) {
  if (parked == none) return;
  const std::uint32_t node = parked;
  parked = none;
  if (nodes_[node].queued)
    nodes_[node].kind = Node::Kind::nameless;
  else
    recycle(node);
}

void KvCache::forget_parked(Holding& holding) {
  forget_parked(holding.parked);
  for (WindowHolding& window : holding.windows) forget_parked(window.parked);
  holding.parked_blocks = 0;
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
    if (nodes_[front].kind == Node::Kind::named) forget_name(front);
    if (nodes_[front].count > 0) {
      // Of a name that stands for several groups the first block taken loses the content of all.
      if (nodes_[front].kind == Node::Kind::named) nodes_[front].kind = Node::Kind::nameless;
      return;
    }
    unlink(front);
    // Of a preempted request's blocks none are left, which it will find when it comes back.
    if (nodes_[front].kind != Node::Kind::parked) recycle(front);
  }
}

void KvCache::forget_name(std::uint32_t node) {
  if (nodes_[node].watched) forget_lookup();
  std::vector<std::uint32_t>& blocks = nodes_[node].name->second;
  std::uint32_t* link = &blocks[nodes_[node].offset];
  while (*link != node) link = &nodes_[*link].twin;
  *link = nodes_[node].twin;
  while (!blocks.empty() && blocks.back() == none) blocks.pop_back();
  if (blocks.empty()) by_name_[nodes_[node].table].erase(nodes_[node].name->first);
}

}  // namespace sextant
