#include <algorithm>

#include "sim/serving/replica.hpp"

// KV blocks in host memory: copied there when they are full, and back before a prefill starts behind them.

namespace sextant {

/// The first `cached` tokens are in the request's blocks: what is full of them can be found from now on.
void Replica::name_full_blocks(State& state, std::int64_t cached) {
  const std::size_t named = state.held.named.size();
  cache_.name_full_blocks(state.prompt_blocks, cached, state.held);
  if (host_ && state.held.named.size() > named)
    totals_.blocks_to_host +=
        host_->store(state.prompt_blocks, static_cast<std::int64_t>(state.held.named.size()));
}

/// The same for blocks without a name, when the request leaves the GPU.
void Replica::store_own_blocks(const State& state, std::int64_t cached) {
  if (!host_) return;
  const auto named = static_cast<std::int64_t>(state.held.named.size());
  totals_.blocks_to_host += host_->store_own(state.number, cached / options_.block_size - named);
}

/// Blocks that host memory has of a prompt behind those the GPU has.
std::int64_t Replica::blocks_on_host(const State& state, std::int64_t on_gpu) const {
  if (!host_) return 0;
  const std::int64_t most = (state.to_prefill - 1) / options_.block_size;
  const PromptBlocks& prompt = state.prompt_blocks;
  const std::int64_t named = prompt.names ? std::min(most, prompt.named_tokens / options_.block_size) : 0;
  const std::int64_t found = host_->find(prompt, on_gpu, named);
  const std::int64_t at = on_gpu + found;
  if (at < named) return found;
  return found + std::max<std::int64_t>(0, std::min(host_->own(state.number), most - named) - (at - named));
}

/// Takes blocks for what both have, and starts the copy. The request waits for it outside the queue; copies
/// follow each other over the link.
void Replica::load_from_host(std::uint32_t slot, const KvCache::Hit& hit, std::int64_t blocks) {
  State& state = states_[slot];
  cache_.take(state.prompt_blocks, hit, state.held);
  cache_.allocate(blocks, state.held);
  promise(state);
  state.scheduled = (hit.blocks + blocks) * options_.block_size;
  state.loaded = true;
  loading_.push_back(slot);
  totals_.blocks_from_host += blocks;
  host_link_free_ =
      std::max(queue_.now(), host_link_free_) + pipeline_->host_copy(blocks * options_.block_size).time;
  queue_.schedule({host_link_free_, static_cast<std::uint32_t>(ReplicaEvent::kv_loaded), id_, pack(0, slot)});
}

void Replica::kv_loaded(std::uint32_t slot) {
  State& state = states_[slot];
  std::erase(loading_, slot);
  if (state.loaded) {
    name_full_blocks(state, state.scheduled);
    loaded_waiting_.push_back(slot);
  }
  waiting_.come_back_in_order(rank(slot));
  wake();
}

/// Where nothing runs and the first in the queue has no room, another one's loaded blocks give way. False if
/// there are none.
bool Replica::drop_loaded(std::uint32_t but) {
  if (running_count_ > 0) return false;
  const auto other = std::find_if(loaded_waiting_.rbegin(), loaded_waiting_.rend(),
                                  [but](std::uint32_t slot) { return slot != but; });
  if (other == loaded_waiting_.rend()) return false;
  drop(*other);
  return true;
}

/// The only request that runs would give way to blocks of one that does not, which gives way to it in turn,
/// and neither comes further: blocks from the host give way instead, those still on their way too. False if
/// there are none.
bool Replica::drop_for_the_only_one() {
  if (running_count_ > 1) return false;
  if (!loaded_waiting_.empty()) {
    drop(loaded_waiting_.back());
    return true;
  }
  const auto loads = std::find_if(loading_.rbegin(), loading_.rend(),
                                  [this](std::uint32_t slot) { return states_[slot].loaded; });
  if (loads == loading_.rend()) return false;
  drop(*loads);
  return true;
}

/// Gives back what was copied from the host for a request that waits.
void Replica::drop(std::uint32_t slot) {
  State& state = states_[slot];
  cache_.release(state.held);
  withdraw(state);
  state.loaded = false;
  state.scheduled = 0;
  std::erase(loaded_waiting_, slot);
}

}  // namespace sextant
