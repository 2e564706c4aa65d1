#include "sim/serving/replica.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>

namespace sextant {
namespace {

enum Limit { limit_kv_blocks, limit_max_num_seqs, limit_max_num_batched_tokens, limit_pipeline_full };

/// Priority of a wake: after arrivals of the same instant (simulation.cpp).
constexpr std::uint8_t after_arrivals = 250;

std::uint64_t pack(int stage, std::uint32_t batch) {
  return (static_cast<std::uint64_t>(stage) << 32) | batch;
}
int stage_of(std::uint64_t data) {
  return static_cast<int>(data >> 32);
}
std::uint32_t batch_of(std::uint64_t data) {
  return static_cast<std::uint32_t>(data);
}

}  // namespace

Replica::Replica(const PipelineModel& pipeline, const EngineOptions& options, std::int64_t kv_blocks,
                 bool step_by_step, std::uint32_t id, EventQueue& queue, Recorder& recorder,
                 Fingerprint& fingerprint, ReplicaListener& listener)
    : pipeline_(pipeline),
      options_(options),
      id_(id),
      queue_(queue),
      recorder_(recorder),
      fingerprint_(fingerprint),
      listener_(listener),
      kv_blocks_(kv_blocks),
      free_blocks_(kv_blocks) {
  const auto stages = static_cast<std::size_t>(pipeline.stages());
  async_ = options.async_scheduling && stages == 1;
  batches_.resize(stages);
  stages_.resize(stages);
  totals_.stages.resize(stages);
  for (std::uint32_t b = 0; b < stages; ++b) {
    batches_[b].decodes = make_decode_group(options.block_size, step_by_step);
    idle_.push_back(b);
  }
}

void Replica::account() {
  const double elapsed = (queue_.now() - accounted_).seconds();
  accounted_ = queue_.now();
  if (elapsed <= 0) return;
  totals_.running_seconds += elapsed * static_cast<double>(running_count_);
  totals_.waiting_seconds += elapsed * static_cast<double>(waiting_.size());
  totals_.kv_block_seconds += elapsed * static_cast<double>(kv_blocks_ - free_blocks_);
  if (!waiting_.empty() && limit_ >= 0) totals_.limit_seconds[static_cast<std::size_t>(limit_)] += elapsed;
}

const ReplicaTotals& Replica::totals() {
  account();
  return totals_;
}

std::string Replica::state() const {
  return fmt::format("replica {}: {} running, {} waiting, {} of {} KV blocks free", id_, running_count_,
                     waiting_.size(), free_blocks_, kv_blocks_);
}

void Replica::submit(const Request& request) {
  account();
  std::int64_t output = request.output_tokens;
  const std::int64_t room = options_.max_model_len - request.prompt_tokens;
  if (options_.max_model_len > 0 && room < output) {
    if (room >= 1) recorder_.truncated();
    output = room;
  }
  if (output < 1 || blocks_for(request.prompt_tokens + output - 1) > kv_blocks_) {
    recorder_.rejected();
    listener_.request_done(queue_.now(), request.id);
    return;
  }
  std::uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<std::uint32_t>(states_.size());
    states_.emplace_back();
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  const std::uint32_t epoch = states_[slot].epoch + 1;
  State& state = states_[slot] = State{};
  state.epoch = epoch;
  state.arrival = queue_.now();
  state.id = request.id;
  state.number = ++arrived_;
  state.prompt = state.to_prefill = request.prompt_tokens;
  state.output = output;
  waiting_.push_back(slot);
  if (idle_.empty()) {
    if (limit_ < 0) limit_ = limit_pipeline_full;
  } else if (!wake_scheduled_) {
    wake_scheduled_ = true;
    queue_.schedule({queue_.now(), static_cast<std::uint32_t>(ReplicaEvent::wake), id_, 0}, after_arrivals);
  }
}

void Replica::handle(const Event& event) {
  account();
  const std::uint32_t batch = batch_of(event.data);
  const int stage = stage_of(event.data);
  switch (static_cast<ReplicaEvent>(event.kind)) {
    case ReplicaEvent::stage_entered:
      stages_[static_cast<std::size_t>(stage)].queue.push_back(batch);
      start_pass(stage);
      break;
    case ReplicaEvent::pass_done:
      pass_done(stage, batch);
      break;
    case ReplicaEvent::batch_returned:
      returned(batch);
      break;
    case ReplicaEvent::wake:
      wake_scheduled_ = false;
      try_schedule();
      break;
  }
}

// ---- filling a batch
// -------------------------------------------------------------------------------------------

void Replica::try_schedule() {
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
  allocate_decodes(batch);
  std::int64_t budget = options_.max_num_batched_tokens - batch.decodes->count();
  continue_prefills(batch, budget);
  if (!preempted_in_fill_) admit_waiting(batch, budget);

  const std::int64_t decodes = batch.decodes->count();
  batch.tokens = decodes;
  batch.shape.samples = decodes;
  for (const Chunk& chunk : batch.chunks) {
    batch.tokens += chunk.tokens;
    batch.shape.samples += chunk.last ? 1 : 0;
    batch.shapes.push_back({chunk.tokens, chunk.past});
  }
  batch.shape.decodes = decodes;
  batch.shape.decode_context_sum = batch.decodes->cached_sum() + decodes;
  batch.shape.chunks = batch.shapes;
  totals_.kv_blocks_peak = std::max(totals_.kv_blocks_peak, kv_blocks_ - free_blocks_);
  return batch.tokens > 0;
}

void Replica::allocate_decodes(Batch& batch) {
  const std::int64_t needed = batch.decodes->blocks_needed();
  if (needed <= free_blocks_) {
    free_blocks_ -= needed;
    batch.allocated = batch.decodes->count() > 0;
    return;
  }
  // Blocks run short: go through the requests as the engine does, in order of admission.
  for (std::uint32_t slot = running_head_; slot != none;) {
    const bool crosses =
        batch.decodes->contains(slot) && batch.decodes->cached(slot) % options_.block_size == 0;
    if (crosses) {
      while (free_blocks_ == 0 && preempt_for(slot)) {
      }
      if (!states_[slot].running) break;
      --free_blocks_;
    }
    slot = states_[slot].next;
  }
  batch.allocated = batch.decodes->count() > 0;
}

void Replica::continue_prefills(Batch& batch, std::int64_t& budget) {
  const std::vector<std::uint32_t> candidates = prefilling_;
  for (const std::uint32_t slot : candidates) {
    if (budget <= 0) break;
    if (!states_[slot].running) continue;  // preempted a moment ago
    const std::int64_t tokens = std::min(budget, states_[slot].to_prefill - states_[slot].scheduled);
    while (!allocate_chunk(states_[slot], tokens) && preempt_for(slot)) {
    }
    if (!states_[slot].running) break;
    add_chunk(batch, slot, tokens);
    budget -= tokens;
  }
}

void Replica::admit_waiting(Batch& batch, std::int64_t& budget) {
  limit_ = -1;
  while (!waiting_.empty()) {
    const std::uint32_t slot = waiting_.front();
    State& state = states_[slot];
    std::int64_t tokens = state.to_prefill;
    if (ahead_ && state.number > arrived_at_launch_) {
      limit_ = limit_pipeline_full;
      return;
    }
    if (running_count_ + held_places_ >= options_.max_num_seqs) {
      limit_ = limit_max_num_seqs;
      return;
    }
    const bool whole_only = !options_.enable_chunked_prefill && tokens > budget;
    if (budget <= 0 || whole_only) {
      limit_ = limit_max_num_batched_tokens;
      return;
    }
    tokens = std::min(tokens, budget);
    const bool whole_fits =
        !options_.scheduler_reserve_full_isl || blocks_for(state.to_prefill) <= free_blocks_;
    if (!whole_fits || !allocate_chunk(state, tokens)) {
      limit_ = limit_kv_blocks;
      return;
    }
    waiting_.pop_front();
    recorder_.admitted(state.id, queue_.now());
    link_running(slot);
    prefilling_.push_back(slot);
    add_chunk(batch, slot, tokens);
    budget -= tokens;
  }
}

bool Replica::allocate_chunk(State& state, std::int64_t tokens) {
  const std::int64_t blocks = blocks_for(state.scheduled + tokens) - state.blocks;
  if (blocks > free_blocks_) return false;
  free_blocks_ -= blocks;
  state.blocks += blocks;
  return true;
}

void Replica::add_chunk(Batch& batch, std::uint32_t slot, std::int64_t tokens) {
  State& state = states_[slot];
  const std::int64_t past = state.scheduled;
  state.scheduled += tokens;
  const bool last = state.scheduled == state.to_prefill;
  if (last) std::erase(prefilling_, slot);
  batch.chunks.push_back({slot, state.epoch, tokens, past, last});
}

// ---- preemption
// ------------------------------------------------------------------------------------------------

bool Replica::preempt_for(std::uint32_t slot) {
  const std::uint32_t victim = running_tail_;
  preempt(victim);
  return victim != slot;
}

std::int64_t Replica::blocks_held(std::uint32_t slot) const {
  const State& state = states_[slot];
  if (state.batch == none) return state.blocks;
  const Batch& batch = batches_[state.batch];
  return blocks_for(batch.decodes->cached(slot) + (batch.allocated ? 1 : 0));
}

void Replica::preempt(std::uint32_t slot) {
  State& state = states_[slot];
  free_blocks_ += blocks_held(slot);
  if (state.batch != none) {
    Batch& batch = batches_[state.batch];
    state.generated = state.output - batch.decodes->remaining(slot);
    state.last_token = batch.last_return;
    batch.decodes->remove(slot);
    state.batch = none;
  }
  std::erase(prefilling_, slot);
  unlink_running(slot);
  ++state.epoch;
  state.blocks = 0;
  state.scheduled = 0;
  state.to_prefill = state.prompt + state.generated;
  waiting_.push_front(slot);
  preempted_in_fill_ = true;
  limit_ = limit_kv_blocks;
  recorder_.preempted(state.id, queue_.now());
}

// ---- the pipeline
// ----------------------------------------------------------------------------------------------

void Replica::launch(std::uint32_t b) {
  const Batch& batch = batches_[b];
  fingerprint_.add(static_cast<std::uint64_t>(batch.shape.decode_context_sum));
  fingerprint_.add(static_cast<std::uint64_t>(batch.tokens));
  totals_.decodes += batch.shape.decodes;
  arrived_at_launch_ = arrived_;
  const auto requests = batch.shape.decodes + static_cast<std::int64_t>(batch.chunks.size());
  queue_.schedule({queue_.now() + pipeline_.host(requests),
                   static_cast<std::uint32_t>(ReplicaEvent::stage_entered), id_, pack(0, b)});
}

void Replica::start_pass(int stage) {
  Stage& server = stages_[static_cast<std::size_t>(stage)];
  if (server.busy || server.queue.empty()) return;
  const std::uint32_t b = server.queue.front();
  server.queue.pop_front();
  server.busy = true;
  const PassTime time = pipeline_.pass(stage, batches_[b].shape);
  recorder_.pass({id_, stage, b, queue_.now(), queue_.now() + time.total, &batches_[b].shape});
  ReplicaTotals::Stage& total = totals_.stages[static_cast<std::size_t>(stage)];
  total.busy += time.total;
  total.communication += time.communication;
  queue_.schedule(
      {queue_.now() + time.total, static_cast<std::uint32_t>(ReplicaEvent::pass_done), id_, pack(stage, b)});
}

void Replica::pass_done(int stage, std::uint32_t b) {
  stages_[static_cast<std::size_t>(stage)].busy = false;
  const bool last = stage + 1 == pipeline_.stages();
  const Time hop = pipeline_.hop(stage, last ? batches_[b].shape.samples : batches_[b].tokens);
  totals_.stages[static_cast<std::size_t>(stage)].hop += hop;
  const ReplicaEvent next = last ? ReplicaEvent::batch_returned : ReplicaEvent::stage_entered;
  queue_.schedule({queue_.now() + hop, static_cast<std::uint32_t>(next), id_, pack(last ? 0 : stage + 1, b)});
  start_pass(stage);
}

void Replica::returned(std::uint32_t b) {
  Batch& batch = batches_[b];
  const Time now = queue_.now();
  recorder_.step();
  recorder_.gap(now - batch.last_return, batch.decodes->count());
  batch.last_return = now;
  batch.allocated = false;
  ahead_ = async_;
  finished_.clear();
  batch.decodes->advance(finished_);
  for (const std::uint32_t slot : finished_) {
    states_[slot].batch = none;
    finish(slot);
  }
  for (const Chunk& chunk : batch.chunks) {
    State& state = states_[chunk.slot];
    if (!chunk.last || chunk.epoch != state.epoch) continue;
    if (++state.generated == 1)
      state.first_token = now;
    else
      recorder_.gap(now - state.last_token, 1);
    if (state.generated == state.output) {
      finish(chunk.slot);
      continue;
    }
    state.batch = b;
    batch.decodes->add(chunk.slot, state.to_prefill, state.output - state.generated);
  }
  batch.chunks.clear();
  idle_.push_back(b);
  try_schedule();
  see_everything();
}

void Replica::see_everything() {
  ahead_ = false;
  free_blocks_ += held_blocks_;
  held_blocks_ = held_places_ = 0;
}

void Replica::finish(std::uint32_t slot) {
  const State& state = states_[slot];
  // The last token is yielded, never cached.
  const std::int64_t blocks = blocks_for(state.prompt + state.output - 1);
  (ahead_ ? held_blocks_ : free_blocks_) += blocks;
  if (ahead_) ++held_places_;
  unlink_running(slot);
  recorder_.finished({state.arrival, state.first_token, queue_.now(), state.prompt, state.output, state.id});
  const std::uint64_t id = state.id;
  free_slots_.push_back(slot);
  listener_.request_done(queue_.now(), id);
}

void Replica::link_running(std::uint32_t slot) {
  State& state = states_[slot];
  state.running = true;
  state.previous = running_tail_;
  state.next = none;
  (running_tail_ == none ? running_head_ : states_[running_tail_].next) = slot;
  running_tail_ = slot;
  ++running_count_;
}

void Replica::unlink_running(std::uint32_t slot) {
  State& state = states_[slot];
  (state.previous == none ? running_head_ : states_[state.previous].next) = state.next;
  (state.next == none ? running_tail_ : states_[state.next].previous) = state.previous;
  state.previous = state.next = none;
  state.running = false;
  --running_count_;
}

}  // namespace sextant
