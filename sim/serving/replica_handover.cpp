#include <algorithm>
#include <utility>

#include "sim/serving/replica.hpp"

// What a replica of a prefill or a decode pool does beside the scheduler: it hands requests over and takes
// them on, as vLLM does with a KV connector.

namespace sextant {

/// Prefill: the prompt's KV is computed and stays where it is until it has been fetched
/// (NixlConnectorScheduler.request_finished delays the freeing of its blocks). It no longer runs.
void Replica::hand_over(std::uint32_t slot) {
  State& state = states_[slot];
  state.held.blocks = blocks_for(state.prompt);
  cache_.name_full_blocks(state.prompt_blocks, state.prompt, state.held);
  unlink_running(slot);
  listener_.prefilled(id_, slot, state.id);
}

void Replica::send_last_chunks(const Batch& batch, Time takes) {
  std::vector<LastChunk> last;
  for (const Chunk& chunk : batch.chunks)
    if (const State& state = states_[chunk.slot]; chunk.last && chunk.epoch == state.epoch)
      last.push_back({state.id, state.prompt});
  if (!last.empty()) listener_.last_chunks_begin(id_, last, takes);
}

/// The pass that waited for it ends; its GPUs have computed nothing meanwhile.
void Replica::kv_sent() {
  if (sending_batch_ == none) return;
  account();
  const std::uint32_t batch = std::exchange(sending_batch_, none);
  const Time waited = queue_.now() - stages_.front().until;
  totals_.stages.front().busy += waited;
  totals_.stages.front().communication += waited;
  pass_done(0, batch);
}

void Replica::release(std::uint32_t slot) {
  account();
  State& state = states_[slot];
  cache_.release(state.held);
  withdraw(state);
  state.prompt_blocks = {};
  free_slots_.push_back(slot);
  if (!waiting_.empty()) wake();
}

/// Decode: takes blocks for the whole prompt (and the token handed over) behind what the prefix cache has of
/// it, and asks for the rest (vLLM's WAITING_FOR_REMOTE_KVS: neither running nor waiting). They get their
/// names only when they are filled.
bool Replica::ask_for_kv(Batch& batch, std::uint32_t slot, const KvCache::Hit& hit) {
  State& state = states_[slot];
  const std::int64_t blocks = blocks_for(state.to_prefill);
  if (cache_.cost(hit, blocks) > cache_.free() || !output_fits(state)) {
    limit_ = kv_blocks_short;
    return false;
  }
  cache_.take(state.prompt_blocks, hit, state.held);
  cache_.allocate(blocks - hit.blocks, state.held);
  promise(state);
  state.kv_elsewhere = false;
  state.scheduled = state.to_prefill - 1;
  totals_.kv_blocks_peak = std::max(totals_.kv_blocks_peak, blocks_in_use());
  const std::int64_t there = hit.blocks * options_.block_size;
  if (listener_.kv_wanted(id_, slot, state.id, std::max<std::int64_t>(0, state.prompt - there))) {
    cache_.name_full_blocks(state.prompt_blocks, state.prompt, state.held);
    begin_with_kv(batch, slot);
  } else {
    ++kv_under_way_;
  }
  return true;
}

/// Computes one token, the prompt's last or the one it was handed, as nothing else gives the logits of the
/// next.
void Replica::begin_with_kv(Batch& batch, std::uint32_t slot) {
  State& state = states_[slot];
  recorder_.admitted(state.id, queue_.now());
  link_running(slot);
  add_chunk(batch, slot, state.to_prefill - state.scheduled);
}

void Replica::kv_arrived(std::uint32_t slot) {
  account();
  State& state = states_[slot];
  cache_.name_full_blocks(state.prompt_blocks, state.prompt, state.held);
  --kv_under_way_;
  kv_here_.push_back({slot, ++kv_arrivals_});
  wake();
}

/// Requests whose KV has arrived come before those that wait. False if some have to wait.
bool Replica::admit_arrived_kv(Batch& batch) {
  const std::uint64_t last_seen = ahead_ ? kv_arrivals_at_launch_ : kv_arrivals_;
  while (!kv_here_.empty()) {
    const KvHere first = kv_here_.front();
    if (first.number > last_seen) {
      limit_ = pipeline_full;
      return true;
    }
    if (!may_run_more(batch)) {
      limit_ = max_num_seqs;
      return false;
    }
    if (budget_left(batch) <= 0) {
      limit_ = max_num_batched_tokens;
      return false;
    }
    kv_here_.pop_front();
    begin_with_kv(batch, first.slot);
  }
  return true;
}

// ---- hops that others meet
// ----------------------------------------------------------------------------------------------

void Replica::hop_done(std::uint64_t data) {
  constexpr std::uint64_t one_stage = std::uint64_t{1} << 32, stages = 0xffff;
  totals_.stages[static_cast<std::size_t>((data >> 32) & stages)].hop += queue_.now();
  // A message of before a fault is void like any other event of then.
  handle({queue_.now(), static_cast<std::uint32_t>(ReplicaEvent::stage_entered), id_, data + one_stage});
}

}  // namespace sextant
