#include <algorithm>
#include <utility>

#include "sim/serving/replica.hpp"

// How a batch is filled: decodes, prompts in progress, waiting requests, and preemption where blocks run out.

namespace sextant {

void Replica::try_schedule() {
  if (lock_step_ != nullptr && !lock_step_->open()) {
    if (limit_ < 0) limit_ = pipeline_full;
    return;
  }
  while (!idle_.empty()) {
    auto place = std::find_if(idle_.begin(), idle_.end(),
                              [this](std::uint32_t b) { return batches_[b].decodes->count() > 0; });
    if (place == idle_.end()) place = idle_.begin();
    const std::uint32_t batch = *place;
    bool filled = fill(batches_[batch]);
    // Nothing could be scheduled ahead, so the engine schedules now, from what it sees now.
    if (!filled && ahead_) {
      see_everything();
      filled = fill(batches_[batch]);
    }
    // A fill that only preempted admits nobody; where no other batch will come back to try again, try again
    // now.
    if (!filled && preempted_in_fill_ && idle_.size() == batches_.size()) filled = fill(batches_[batch]);
    if (!filled) return;
    idle_.erase(place);
    launch(batch);
  }
}

bool Replica::fill(Batch& batch) {
  batch.chunks.clear();
  batch.shapes.clear();
  preempted_in_fill_ = false;
  batch.tokens = 0;
  allocate_decodes(batch);
  continue_prefills(batch);
  if (!preempted_in_fill_) admit_waiting(batch);

  const std::int64_t decodes = batch.decodes->count();
  const std::int64_t decode_tokens = decodes * options_.tokens_per_decode();
  batch.tokens = decode_tokens;
  batch.shape.samples = decode_tokens;
  batch.shape.tokens_per_decode = options_.tokens_per_decode();
  for (const Chunk& chunk : batch.chunks) {
    batch.tokens += chunk.tokens;
    batch.shape.samples += chunk.last ? 1 : 0;
    batch.shapes.push_back({chunk.tokens, chunk.past});
  }
  batch.shape.decodes = decodes;
  batch.shape.decode_context_sum = batch.decodes->cached_sum() + decode_tokens;
  batch.shape.chunks = batch.shapes;
  totals_.kv_blocks_peak = std::max(totals_.kv_blocks_peak, blocks_in_use());
  return batch.tokens > 0;
}

/// What the next token leaves behind its windows is free before anything is taken
/// (KVCacheManager.allocate_slots).
void Replica::slide_decodes(Batch& batch) {
  if (cache_.pool().windows.empty() || batch.decodes->count() == 0) return;
  cache_.give_back(batch.decodes->blocks_leaving());
  for (const DecodeGroup::Leaving& leaving : batch.decodes->named_leaving())
    cache_.give_back_named(states_[leaving.slot].held, leaving.window);
  batch.slid = true;
}

void Replica::allocate_decodes(Batch& batch) {
  slide_decodes(batch);
  const std::int64_t needed = batch.decodes->blocks_needed();
  const std::int64_t at_once = cache_.pool().blocks_at_once();
  if (needed * at_once <= cache_.free()) {
    cache_.allocate(needed);
    batch.allocated = batch.decodes->count() > 0;
    return;
  }
  // Blocks run short: go through the requests as the engine does, in order of admission.
  for (std::uint32_t slot = running_head_; slot != none;) {
    const std::int64_t blocks = batch.decodes->contains(slot) ? batch.decodes->blocks_needed(slot) : 0;
    std::uint32_t next = states_[slot].next;
    // By priority the first to go may be this one itself, with others behind it.
    while (cache_.free() < blocks * at_once && preempt_for(batch, slot)) next = states_[slot].next;
    if (blocks > 0 && states_[slot].running) {
      cache_.allocate(blocks);
      states_[slot].took_block = true;
    }
    slot = next;
  }
  for (std::uint32_t slot = running_head_; slot != none; slot = states_[slot].next)
    states_[slot].took_block = false;
  batch.allocated = batch.decodes->count() > 0;
}

std::int64_t Replica::budget_left(const Batch& batch) const {
  return options_.max_num_batched_tokens - batch.decodes->count() * options_.tokens_per_decode() -
         batch.tokens;
}

/// Of a prompt's `tokens` those it may take in one step, whatever else is in it.
std::int64_t Replica::chunk_limit(std::int64_t tokens) const {
  const std::int64_t threshold = options_.long_prefill_token_threshold;
  return threshold > 0 ? std::min(tokens, threshold) : tokens;
}

void Replica::continue_prefills(Batch& batch) {
  const std::vector<std::uint32_t> candidates = prefilling_;
  for (const std::uint32_t slot : candidates) {
    if (budget_left(batch) <= 0 || batch_full(batch)) break;
    if (!states_[slot].running) continue;  // preempted a moment ago
    const std::int64_t rest = states_[slot].to_prefill - states_[slot].scheduled;
    const std::int64_t tokens = std::min(chunk_limit(rest), budget_left(batch));
    while (!allocate_chunk(states_[slot], tokens) && preempt_for(batch, slot)) {
    }
    if (!states_[slot].running) break;
    add_chunk(batch, slot, tokens);
  }
}

void Replica::admit_waiting(Batch& batch) {
  limit_ = -1;
  if (!kv_here_.empty() && !admit_arrived_kv(batch)) return;
  const std::uint64_t last_seen = ahead_ ? arrived_at_launch_ : arrived_;
  while (!waiting_.empty()) {
    const std::optional<RequestRank> first = waiting_.first(last_seen);
    if (!first) {
      limit_ = pipeline_full;
      return;
    }
    if (!may_run_more(batch)) {
      limit_ = max_num_seqs;
      return;
    }
    if (!admit(batch, first->slot)) return;
    waiting_.remove_first(*first);
  }
}

bool Replica::batch_full(const Batch& batch) const {
  return options_.max_num_seqs_per_batch &&
         batch.decodes->count() + static_cast<std::int64_t>(batch.chunks.size()) >= options_.max_num_seqs;
}

/// Whether one request more may enter, in the batch that is being filled.
bool Replica::may_run_more(const Batch& batch) const {
  return !batch_full(batch) && running_count_ + static_cast<std::int64_t>(held_back_.size()) <
                                   options_.running_limit(static_cast<std::int64_t>(batches_.size()));
}

/// Whether a request's blocks to its last token are left by all that those with blocks may grow to.
bool Replica::output_fits(const State& state) const {
  return !options_.guaranteed_no_evict || state.promised > 0 ||
         promised_blocks_ + most_blocks(state.prompt, state.output) <= cache_.blocks();
}

/// It holds blocks from now on: those to its last token are kept for it.
void Replica::promise(State& state) {
  if (!options_.guaranteed_no_evict || state.promised > 0) return;
  state.promised = most_blocks(state.prompt, state.output);
  promised_blocks_ += state.promised;
}

void Replica::withdraw(State& state) {
  promised_blocks_ -= std::exchange(state.promised, 0);
}

/// Starts the prefill of a waiting request behind what the prefix cache has of it. False, with the limit, if
/// there is no room.
bool Replica::admit(Batch& batch, std::uint32_t slot) {
  State& state = states_[slot];
  const std::int64_t budget = budget_left(batch);
  if (budget <= 0) {
    limit_ = max_num_batched_tokens;
    return false;
  }
  const KvCache::Hit hit = state.loaded ? KvCache::Hit{state.held.blocks, 0}
                                        : cache_.find(state.prompt_blocks, state.to_prefill, state.held);
  if (state.kv_elsewhere) return ask_for_kv(batch, slot, hit);
  const std::int64_t on_host = state.loaded ? 0 : blocks_on_host(state, hit.blocks);
  const std::int64_t cached = (hit.blocks + on_host) * options_.block_size;
  const std::int64_t rest = chunk_limit(state.to_prefill - cached);
  if (!options_.enable_chunked_prefill && rest > budget) {
    limit_ = max_num_batched_tokens;
    return false;
  }
  const std::int64_t tokens = std::min(rest, budget);
  const std::int64_t must_fit = options_.scheduler_reserve_full_isl ? state.to_prefill : cached + tokens;
  if (cache_.cost(hit, blocks_for(must_fit)) > cache_.free() || !output_fits(state)) {
    if (host_ && drop_loaded(slot)) return admit(batch, slot);
    limit_ = kv_blocks_short;
    return false;
  }
  if (on_host > 0) {
    load_from_host(slot, hit, on_host);
    return true;
  }
  if (state.loaded)
    std::erase(loaded_waiting_, slot);
  else
    cache_.take(state.prompt_blocks, hit, state.held);
  state.loaded = false;
  state.scheduled = cached;
  totals_.admitted_tokens += state.to_prefill;
  totals_.cached_tokens += cached;
  allocate_chunk(state, tokens);
  recorder_.admitted(state.id, queue_.now());
  link_running(slot);
  prefilling_.push_back(slot);
  add_chunk(batch, slot, tokens);
  return true;
}

bool Replica::allocate_chunk(State& state, std::int64_t tokens) {
  cache_.slide(state.held, state.scheduled);
  const std::int64_t blocks = blocks_for(state.scheduled + tokens);
  if (cache_.cost(state.held, blocks) > cache_.free()) return false;
  cache_.allocate(blocks - state.held.blocks, state.held);
  name_full_blocks(state, state.scheduled + tokens);
  return true;
}

void Replica::add_chunk(Batch& batch, std::uint32_t slot, std::int64_t tokens) {
  State& state = states_[slot];
  const std::int64_t past = state.scheduled;
  state.scheduled += tokens;
  const bool last = state.scheduled == state.to_prefill;
  if (last) std::erase(prefilling_, slot);
  batch.chunks.push_back({slot, state.epoch, tokens, past, last});
  batch.tokens += tokens;
}

RequestRank Replica::rank(std::uint32_t slot) const {
  return {states_[slot].priority, states_[slot].number, slot};
}

/// Makes room for a request of the batch that is being filled. False if that cost its own place.
bool Replica::preempt_for(Batch& batch, std::uint32_t slot) {
  if (drop_for_the_only_one()) return true;
  const std::uint32_t victim = by_priority_ ? running_ranks_.rbegin()->slot : running_tail_;
  std::erase_if(batch.chunks, [&](const Chunk& chunk) {
    if (chunk.slot != victim || chunk.epoch != states_[victim].epoch) return false;
    batch.tokens -= chunk.tokens;
    return true;
  });
  preempt(victim);
  return victim != slot;
}

/// What a decoding request holds now.
void Replica::count_in(State& state, std::uint32_t slot) {
  const Batch& batch = batches_[state.batch];
  const DecodeGroup& group = *batch.decodes;
  const std::int64_t next = batch.allocated || state.took_block ? group.blocks_needed(slot) : 0;
  cache_.count_in(state.held, group.blocks_held(slot) + next,
                  batch.slid ? group.cached(slot) : group.slid(slot));
}

void Replica::preempt(std::uint32_t slot) {
  State& state = states_[slot];
  std::int64_t cached = state.scheduled;
  if (state.batch != none) {
    count_in(state, slot);
    Batch& batch = batches_[state.batch];
    cached = batch.decodes->cached(slot);
    state.generated = state.output - batch.decodes->remaining(slot);
    state.last_token = batch.last_return;
    batch.decodes->remove(slot);
    state.batch = none;
  }
  name_full_blocks(state, cached);
  store_own_blocks(state, cached);
  cache_.release(state.held, cached);
  withdraw(state);
  std::erase(prefilling_, slot);
  unlink_running(slot);
  ++state.epoch;
  state.took_block = false;
  state.scheduled = 0;
  state.to_prefill = state.prompt + state.generated;
  waiting_.come_back(rank(slot));
  preempted_in_fill_ = true;
  limit_ = kv_blocks_short;
  recorder_.preempted(state.id, queue_.now());
}

}  // namespace sextant
