#pragma once
#include <cstdint>
#include <list>
#include <unordered_map>

#include "sim/serving/kv_cache.hpp"

namespace sextant {

/// KV blocks that a replica keeps in host memory, as vLLM's native offloading does
/// (vllm/v1/kv_offload/lru_manager.py): every full block is copied there when it is computed, and the least
/// recently used give way. Of what one request holds, the blocks further back count as used longer ago.
class HostKvCache {
 public:
  /// Names come from `cache`, which outlives this.
  HostKvCache(std::int64_t blocks, const KvCache& cache) : room_(blocks), cache_(cache) {}

  /// How many blocks of the prompt are here, one after another, from the `from`-th on and before `end`.
  std::int64_t find(const PromptBlocks&, std::int64_t from, std::int64_t end) const;
  /// Copies those of the first `count` named blocks that are not here, and marks all of them as just used.
  /// Returns how many it copied.
  std::int64_t store(const PromptBlocks&, std::int64_t count);
  /// The same for a request's blocks without a name, `count` in all. Only it can find them.
  std::int64_t store_own(std::uint64_t request, std::int64_t count);
  /// The first of them that are still here.
  std::int64_t own(std::uint64_t request) const;
  std::int64_t blocks() const { return used_; }

 private:
  struct Entry {
    std::uint64_t name = 0;    // of a named block, or the request's number
    std::uint32_t offset = 0;  // of a named block
    bool is_own = false;
    std::int64_t count = 1;  // blocks
  };
  struct Key {
    std::uint64_t name;
    std::uint32_t offset;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return static_cast<std::size_t>(key.name * 0x9e3779b97f4a7c15ULL + key.offset * 0xbf58476d1ce4e5b9ULL);
    }
  };

  void make_room();

  std::int64_t room_, used_ = 0;
  const KvCache& cache_;
  std::list<Entry> by_use_;  // the most recent in front
  std::unordered_map<Key, std::list<Entry>::iterator, Hash> named_;
  std::unordered_map<std::uint64_t, std::list<Entry>::iterator> own_;
};

}  // namespace sextant
