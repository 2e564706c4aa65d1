#include "sim/serving/host_kv_cache.hpp"

#include <algorithm>

namespace sextant {

std::int64_t HostKvCache::find(const PromptBlocks& prompt, std::int64_t from, std::int64_t end) const {
  std::int64_t block = from;
  for (; block < end; ++block) {
    const KvCache::Place at = cache_.place(prompt, block);
    if (!named_.contains({at.name, at.offset})) break;
  }
  return std::max<std::int64_t>(0, block - from);
}

std::int64_t HostKvCache::store(const PromptBlocks& prompt, std::int64_t count) {
  std::int64_t copied = 0;
  // From the last to the first, so that the end of a chain gives way before its beginning.
  for (std::int64_t block = count; block-- > 0;) {
    const KvCache::Place at = cache_.place(prompt, block);
    const auto [known, is_new] = named_.try_emplace({at.name, at.offset});
    if (is_new) {
      by_use_.push_front({at.name, at.offset, false, 1});
      known->second = by_use_.begin();
      ++used_;
      ++copied;
    } else {
      by_use_.splice(by_use_.begin(), by_use_, known->second);
    }
  }
  make_room();
  return copied;
}

std::int64_t HostKvCache::store_own(std::uint64_t request, std::int64_t count) {
  if (count <= 0) return 0;
  const auto [known, is_new] = own_.try_emplace(request);
  std::int64_t copied = count;
  if (is_new) {
    by_use_.push_front({request, 0, true, count});
    known->second = by_use_.begin();
  } else {
    by_use_.splice(by_use_.begin(), by_use_, known->second);
    copied = std::max<std::int64_t>(0, count - known->second->count);
    known->second->count += copied;
  }
  used_ += copied;
  make_room();
  return copied;
}

std::int64_t HostKvCache::own(std::uint64_t request) const {
  const auto found = own_.find(request);
  return found == own_.end() ? 0 : found->second->count;
}

void HostKvCache::make_room() {
  while (used_ > room_) {
    Entry& oldest = by_use_.back();
    const std::int64_t dropped = std::min(oldest.count, used_ - room_);
    oldest.count -= dropped;
    used_ -= dropped;
    if (oldest.count > 0) return;
    if (oldest.is_own)
      own_.erase(oldest.name);
    else
      named_.erase({oldest.name, oldest.offset});
    by_use_.pop_back();
  }
}

}  // namespace sextant
