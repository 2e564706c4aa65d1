#pragma once
#include <cstdint>
#include <vector>

#include "models/llm/architecture.hpp"
#include "models/llm/weight_format.hpp"

namespace sextant {

struct StageShape;

/// How a replica's layers share one pool of KV blocks, as vLLM's hybrid KV cache manager divides them
/// (vllm/v1/core/kv_cache_utils.py, get_kv_cache_groups): layers of one kind make groups of equally many
/// layers, the last one padded; a block is one page in each layer of *one* group, and pages of all groups are
/// equally large. A request takes blocks of every group.
struct KvPool {
  /// Groups whose layers need the last `tokens` tokens only.
  struct Window {
    std::int64_t tokens = 0;
    std::int64_t groups = 0;
    bool operator==(const Window&) const = default;
  };
  std::int64_t block_tokens = 16;   ///< of a page in layers that keep tokens
  std::int64_t full_groups = 1;     ///< whose layers keep every token
  std::vector<Window> windows;      ///< one for each length of window
  std::int64_t state_groups = 0;    ///< whose layers keep one state, and so one block, of each request
  double page_bytes = 0;            ///< per layer; 0: one group, in which each layer has its own
  std::vector<int> group_of_layer;  ///< of each layer its group, -1: keeps nothing; empty: one group

  /// Blocks that one more block of tokens takes over all groups.
  std::int64_t blocks_at_once() const;
  /// Whether every layer keeps every token.
  bool plain() const { return full_groups == 1 && windows.empty() && state_groups == 0; }
  std::int64_t token_blocks(std::int64_t tokens) const { return (tokens + block_tokens - 1) / block_tokens; }
  /// Blocks of each group of that window that lie before it once so many tokens are computed
  /// (SlidingWindowManager.get_num_skipped_tokens).
  std::int64_t blocks_left(std::size_t window, std::int64_t computed) const;
  /// Blocks that a request needs at most while it grows to `tokens` tokens, at most `pass_tokens` at a time:
  /// what vLLM holds against the pool before it starts (SlidingWindowSpec.max_memory_usage_bytes).
  std::int64_t most_blocks(std::int64_t tokens, std::int64_t pass_tokens) const;
  /// Slots of tokens that a request of so many tokens takes between two passes, over all groups: its blocks
  /// times their tokens, parts of blocks not rounded where blocks are small.
  double token_slots(double tokens) const;
};

/// The pool of a model whose stages are cut `tensor_parallel` ways. Pages hold `block_size` tokens, or as
/// many as a state fills (HybridAttentionMambaModelConfig). `hybrid` false is vLLM's
/// disable_hybrid_kv_cache_manager: layers that slide keep every token, as chunked ones always do. Layers
/// with unequal pages are padded to the largest.
KvPool kv_pool(const Architecture&, const KvFormat&, std::int64_t tensor_parallel, std::int64_t block_size,
               bool hybrid = true);

/// Bytes of one block on each GPU of the stage: a page in as many layers as the largest group has there.
double block_bytes(const KvPool&, const Architecture&, const KvFormat&, const StageShape&);

}  // namespace sextant
