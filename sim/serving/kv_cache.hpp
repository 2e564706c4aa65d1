#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "models/llm/kv_pool.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

/// One replica's KV blocks, with vLLM's prefix cache (v1/core/block_pool.py): a full block whose tokens have
/// a name stays known after it is freed, until it is handed out again. Free blocks stand in a queue: a
/// request's are appended last block first, and new blocks are taken from the front, so the block freed
/// longest ago loses its content first. Which block a request gets is of no consequence, so runs of blocks
/// without a name are kept as counts and cost O(1).
///
/// Where layers form several groups (KvPool), a request's n-th block of tokens is a block in each of them.
/// The groups whose layers keep every token share one node for a name. Windows have names of their own: a
/// block that leaves its window is freed but stays known, and a prompt's start is found only where each
/// window's last blocks before it are there as well (HybridKVCacheCoordinator.find_longest_cache_hit).
class KvCache {
 public:
  static constexpr std::uint32_t none = 0xffffffff;

  /// What one request holds in the groups of one window.
  struct WindowHolding {
    std::int64_t left = 0;             ///< of its blocks those before the window, given back
    std::int64_t first = 0;            ///< the block that `named` begins with
    std::vector<std::uint32_t> named;  ///< one after another, where others may find them
    std::uint32_t parked = none;       ///< its own blocks left behind when it was preempted
    std::int64_t parked_blocks = 0;    ///< how many they were
    std::int64_t named_end() const { return first + static_cast<std::int64_t>(named.size()); }
  };
  /// What one request holds.
  struct Holding {
    std::int64_t blocks = 0;               ///< of its tokens, from the first on
    std::vector<std::uint32_t> named;      ///< the first of them, where others may find them
    std::uint32_t parked = none;           ///< its own blocks left behind when it was preempted
    std::int64_t parked_blocks = 0;        ///< how many they were
    std::vector<WindowHolding> windows{};  ///< by window of the pool
    bool state = false;                    ///< holds the blocks of its state
  };
  /// Cached blocks a request would start with.
  struct Hit {
    std::int64_t blocks = 0;      ///< of tokens
    std::int64_t from_queue = 0;  ///< blocks of the pool: those of them that are free now
  };

  KvCache(std::int64_t blocks, const KvPool&, bool enable_prefix_caching);
  /// Every layer keeps every token.
  KvCache(std::int64_t blocks, std::int64_t block_size, bool enable_prefix_caching);

  KvCache(const KvCache&) = delete;
  KvCache(KvCache&&) = default;
  KvCache& operator=(const KvCache&) = delete;
  KvCache& operator=(KvCache&&) = default;
  ~KvCache() = default;

  const KvPool& pool() const { return pool_; }

  /// Blocks of the pool that nobody holds, and all there are.
  std::int64_t free() const { return free_; }
  std::int64_t blocks() const { return blocks_; }

  /// The cached blocks that `tokens` tokens start with; the last token is always computed. The last prompt
  /// asked for is remembered until something of it changes: the first in a queue is asked for in every step.
  Hit find(const PromptBlocks&, std::int64_t tokens, const Holding&);
  /// Takes what `find` has just found.
  void take(const PromptBlocks&, const Hit&, Holding&);
  /// Blocks of the pool that it takes to have `blocks` blocks of tokens behind what was found, or behind
  /// those held.
  std::int64_t cost(const Hit& hit, std::int64_t blocks) const {
    return (blocks - hit.blocks) * at_once_ + hit.from_queue + pool_.state_groups;
  }
  std::int64_t cost(const Holding& held, std::int64_t blocks) const {
    return (blocks - held.blocks) * at_once_ + (held.state ? 0 : pool_.state_groups);
  }
  /// Takes new blocks for `count` blocks of tokens, whose content is lost; the caller has looked at free().
  void allocate(std::int64_t count, Holding&);
  /// The same for requests that are counted elsewhere: decodes of a group.
  void allocate(std::int64_t count) { evict(count * at_once_); }
  /// Gives back what lies before the windows now that `computed` tokens are.
  void slide(Holding&, std::int64_t computed);
  /// The same for requests that are counted elsewhere: blocks of the pool without a name, or the first that
  /// has one in a window.
  void give_back(std::int64_t pool_blocks);
  void give_back_named(Holding&, std::size_t window);
  /// Sets what a request counted elsewhere holds.
  void count_in(Holding&, std::int64_t blocks, std::int64_t computed) const;
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
  using ByName = std::unordered_map<std::uint64_t, std::vector<std::uint32_t>>;  // nodes by offset
  /// In the queue: blocks without a name, a preempted request's own blocks, or one named block. Out of it: a
  /// named block in use.
  struct Node {
    enum class Kind : std::uint8_t { nameless, parked, named } kind = Kind::nameless;
    bool queued = false;
    bool watched = false;                        // named: the remembered look-up found it
    std::int32_t users = 0;                      // named: requests that hold it
    std::int64_t count = 0;                      // blocks
    std::uint32_t previous = none, next = none;  // in the queue
    ByName::value_type* name = nullptr;          // named: its content is the `offset`-th block of that name
    std::uint32_t offset = 0;
    std::uint8_t table = 0;     // named: 0 of layers that keep every token, from 1 on of a window
    std::uint32_t twin = none;  // another block of the same content, found after this one
  };
  /// What the names of a prompt's first `named` blocks found. It stays true until a watched node comes into
  /// or out of use or loses its content, or a block that it missed gets its name.
  struct Lookup {
    std::shared_ptr<const std::vector<std::uint64_t>> names;
    std::int64_t hash_block_tokens = 0, named = 0;
    bool known = false;  // else asked for once, with nothing watched
    Hit hit;
    std::optional<Place> missed;  // in layers that keep every token
    std::vector<std::uint32_t> watched;
  };
  std::uint32_t find_named(const ByName&, Place) const;
  Hit find_names(const PromptBlocks&, std::int64_t named);
  Hit look_up(const PromptBlocks&, std::int64_t named, bool watch);
  std::int64_t free_among(const ByName&, const PromptBlocks&, std::int64_t begin, std::int64_t end) const;
  std::int64_t find_window(std::size_t window, const PromptBlocks&, std::int64_t blocks, bool watch);
  void watch(std::uint32_t node);
  void forget_lookup();
  void forget_lookup_that_missed(std::uint8_t table, Place);
  std::int64_t blocks_before(std::size_t window, std::int64_t blocks) const;
  std::uint32_t new_named(std::uint8_t table, std::int64_t count, Place);
  void use(std::uint32_t node);
  void leave(std::uint32_t node);
  void open_windows(Holding&) const;
  std::int64_t own_in_window(std::size_t window, std::int64_t named, std::int64_t blocks) const;
  std::int64_t take_window(std::size_t window, const PromptBlocks&, std::int64_t named, std::int64_t blocks,
                           Holding&);
  std::uint32_t park(std::int64_t own, std::int64_t parked, std::int64_t groups);
  void take_parked(std::uint32_t node, std::int64_t count);
  std::uint32_t new_node(Node::Kind, std::int64_t count);
  void append(std::uint32_t node);
  void unlink(std::uint32_t node);
  void append_nameless(std::int64_t count);
  void evict(std::int64_t count);
  void forget_name(std::uint32_t node);
  void recycle(std::uint32_t node) { unused_.push_back(node); }
  std::int64_t parked_blocks(const Holding& holding) const;
  void forget_parked(std::uint32_t& parked);

  KvPool pool_;
  std::int64_t blocks_, block_size_, free_, at_once_;
  bool enabled_;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> unused_;
  std::uint32_t head_ = none, tail_ = none;
  std::vector<ByName> by_name_;  // first of layers that keep every token, then of each window
  Lookup lookup_;
};

}  // namespace sextant
