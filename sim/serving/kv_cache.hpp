#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "sim/serving/workload.hpp"

namespace sextant {

/// One replica's KV blocks, with vLLM's prefix cache (v1/core/block_pool.py): a full block whose tokens have
/// a name stays known after it is freed, until it is handed out again. Free blocks stand in a queue: a
/// request's are appended last block first, and new blocks are taken from the front, so the block freed
/// longest ago loses its content first. Which block a request gets is of no consequence, so runs of blocks
/// without a name are kept as counts and cost O(1).
class KvCache {
 public:
  static constexpr std::uint32_t none = 0xffffffff;

  /// What one request holds.
  struct Holding {
    std::int64_t blocks = 0;
    std::vector<std::uint32_t> named;  ///< the first of them, where others may find them
    std::uint32_t parked = none;       ///< its own blocks left behind when it was preempted
  };
  /// Cached blocks a request would start with.
  struct Hit {
    std::int64_t blocks = 0;
    std::int64_t from_queue = 0;  ///< of them free, so that taking them leaves fewer
  };

  KvCache(std::int64_t blocks, std::int64_t block_size, bool enable_prefix_caching);

  std::int64_t free() const { return free_; }
  std::int64_t blocks() const { return blocks_; }

  /// The cached blocks that `tokens` tokens start with; the last token is always computed.
  Hit find(const PromptBlocks&, std::int64_t tokens, const Holding&) const;
  /// Takes what `find` has just found.
  void take(const PromptBlocks&, const Hit&, Holding&);
  /// Takes new blocks, whose content is lost; the caller has looked at free().
  void allocate(std::int64_t count, Holding&);
  /// The same for requests that are counted elsewhere: decodes of a group.
  void allocate(std::int64_t count) { evict(count); }
  /// The first `tokens` tokens are in its blocks: full blocks with a name can be found from now on.
  void name_full_blocks(const PromptBlocks&, std::int64_t tokens, Holding&);
  /// The name that covers a block's last token, and which of that name's blocks it is.
  struct Place {
    std::uint64_t name;
    std::uint32_t offset;
  };
  Place place(const PromptBlocks&, std::int64_t block) const;

  /// Gives all back. The full blocks of `parked_tokens` tokens without a name can be found again by the same
  /// request, after a preemption.
  void release(Holding&, std::int64_t parked_tokens = 0);
  /// Forgets what a request that ends left behind.
  void forget_parked(Holding&);

 private:
  /// In the queue: blocks without a name, a preempted request's own blocks, or one named block. Out of it: a
  /// named block in use.
  struct Node {
    enum class Kind : std::uint8_t { nameless, parked, named } kind = Kind::nameless;
    bool queued = false;
    std::int32_t users = 0;                      // named: requests that hold it
    std::int64_t count = 0;                      // blocks
    std::uint32_t previous = none, next = none;  // in the queue
    std::uint64_t name = 0;                      // named: its content is the `offset`-th block of that name
    std::uint32_t offset = 0;
    std::uint32_t twin = none;  // another block of the same content, found after this one
  };
  std::uint32_t find_named(Place) const;
  std::uint32_t new_node(Node::Kind, std::int64_t count);
  void append(std::uint32_t node);
  void unlink(std::uint32_t node);
  void append_nameless(std::int64_t count);
  void evict(std::int64_t count);
  void forget_name(std::uint32_t node);
  void recycle(std::uint32_t node) { unused_.push_back(node); }
  std::int64_t parked_blocks(const Holding& holding) const {
    return holding.parked == none ? 0 : nodes_[holding.parked].count;
  }

  std::int64_t blocks_, block_size_, free_;
  bool enabled_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> unused_;
  std::uint32_t head_ = none, tail_ = none;
  std::unordered_map<std::uint64_t, std::vector<std::uint32_t>> by_name_;  // nodes by offset
};

}  // namespace sextant
