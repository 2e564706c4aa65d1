#include "sim/serving/replica.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cassert>
#include <utility>

namespace sextant {
namespace {

/// Priority of a wake: after arrivals of the same instant (simulation.cpp).
constexpr std::uint8_t after_arrivals = 250;
/// Like an arrival: after what the machine does at the same instant.
constexpr std::uint8_t front_end_priority = 200;

constexpr int generation_bits = 48;  // and above; stages below them, batches in the lower 32

int stage_of(std::uint64_t data) {
  return static_cast<int>((data >> 32) & 0xffff);
}
std::uint64_t generation_of(std::uint64_t data) {
  return data >> generation_bits;
}
std::uint32_t batch_of(std::uint64_t data) {
  return static_cast<std::uint32_t>(data);
}

KvPool plain_pool(std::int64_t block_size) {
  KvPool pool;
  pool.block_tokens = block_size;
  return pool;
}

}  // namespace

Replica::Replica(const PipelineModel& pipeline, const EngineOptions& options, std::int64_t kv_blocks,
                 bool step_by_step, std::uint32_t id, EventQueue& queue, Recorder& recorder,
                 Fingerprint& fingerprint, ReplicaListener& listener, ReplicaRole role,
                 std::shared_ptr<const AcceptanceDraws> draws, const std::optional<KvPool>& pool)
    : pipeline_(&pipeline),
      options_(options),
      id_(id),
      role_(role),
      queue_(queue),
      recorder_(recorder),
      fingerprint_(fingerprint),
      listener_(listener),
      draws_(std::move(draws)),
      cache_(kv_blocks, pool ? *pool : plain_pool(options.block_size), options.enable_prefix_caching),
      by_priority_(options.scheduling_policy == SchedulingPolicy::priority),
      step_by_step_(step_by_step),
      waiting_(by_priority_) {
  options_.block_size = cache_.pool().block_tokens;
  const auto stages = static_cast<std::size_t>(pipeline.stages());
  async_ = options.async_scheduling && stages == 1;
  batches_.resize(stages);
  stages_.resize(stages);
  totals_.stages.resize(stages);
  set_up();
}

/// Every batch idle and empty, nothing in host memory.
void Replica::set_up() {
  idle_.clear();
  for (std::uint32_t b = 0; b < batches_.size(); ++b) {
    batches_[b] = Batch{};
    batches_[b].decodes = draws_ ? make_speculative_group({draws_, options_.speculation->reserved_tokens(),
                                                           options_.max_model_len},
                                                          cache_.pool(), step_by_step_)
                                 : make_decode_group(cache_.pool(), step_by_step_);
    idle_.push_back(b);
  }
  if (options_.kv_offloading_gib > 0 && block_bytes() > 0)
    host_ = std::make_unique<HostKvCache>(
        static_cast<std::int64_t>(options_.kv_offloading_gib * 1024 * 1024 * 1024 / block_bytes()), cache_);
}

void Replica::account() {
  const double elapsed = (queue_.now() - accounted_).seconds();
  accounted_ = queue_.now();
  if (elapsed <= 0) return;
  totals_.running_seconds += elapsed * static_cast<double>(running_count_);
  totals_.waiting_seconds += elapsed * static_cast<double>(waiting_.size());
  totals_.kv_block_seconds += elapsed * static_cast<double>(blocks_in_use());
  if (!waiting_.empty() && limit_ >= 0) totals_.limit_seconds[static_cast<std::size_t>(limit_)] += elapsed;
}

const ReplicaTotals& Replica::totals() {
  account();
  totals_.accepted_tokens = 0;
  for (const Batch& batch : batches_) totals_.accepted_tokens += batch.decodes->accepted();
  return totals_;
}

std::string Replica::state() const {
  std::string text = fmt::format("replica {}: {} running, {} waiting, {} of {} KV blocks free", id_,
                                 running_count_, waiting_.size(), cache_.free(), cache_.blocks());
  if (kv_under_way_ > 0) text += fmt::format(", {} wait for KV on its way", kv_under_way_);
  return text;
}

/// Blocks of the pool that a request must be able to have: while it grows to its last token, or all its
/// tokens' at once where it enters only then. vLLM 0.19 counts those of windows whole there
/// (vllm-project/vllm#39734), and a request that needs more than there are waits for ever.
std::int64_t Replica::most_blocks(std::int64_t prompt, std::int64_t output) const {
  std::int64_t tokens = prompt + output - 1;
  if (options_.speculation) {
    tokens += options_.speculation->reserved_tokens() - 1;
    if (options_.max_model_len > 0) tokens = std::min(tokens, options_.max_model_len);
  }
  const KvPool& pool = cache_.pool();
  return options_.scheduler_reserve_full_isl
             ? pool.token_blocks(tokens) * pool.blocks_at_once() + pool.state_groups
             : pool.most_blocks(tokens, options_.max_num_batched_tokens);
}

std::uint64_t Replica::pack(int stage, std::uint32_t batch) const {
  return (static_cast<std::uint64_t>(generation_) << generation_bits) |
         (static_cast<std::uint64_t>(stage) << 32) | batch;
}

void Replica::submit(const Request& request, const Handover* handover) {
  submit({request, queue_.now(), 0, {}, {}, false}, handover);
}

void Replica::submit(const MovedRequest& moved, const Handover* handover) {
  const Request& request = moved.request;
  account();
  std::int64_t output = role_ == ReplicaRole::prefill ? 1 : request.output_tokens;
  const std::int64_t room = options_.max_model_len - request.prompt_tokens;
  if (options_.max_model_len > 0 && room < output) {
    if (room >= 1 && !moved.moved) recorder_.truncated();
    output = room;
  }
  if (output < 1 || most_blocks(request.prompt_tokens, output) > cache_.blocks()) {
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
  state.present = true;
  state.arrival = moved.arrival;
  state.first_token = moved.first_token;
  state.last_token = moved.last_token;
  state.generated = moved.generated;
  state.id = request.id;
  state.prompt = request.prompt_tokens;
  state.to_prefill = state.prompt + state.generated;
  state.output = output;
  state.priority = request.priority;
  if (handover != nullptr) {
    state.arrival = handover->arrival;
    state.first_token = state.last_token = handover->first_token;
    state.generated = handover->generated;
    state.to_prefill = state.prompt + state.generated;
    state.kv_elsewhere = true;
  }
  state.prompt_blocks = request.prompt_blocks;
  if (state.prompt_blocks.names)
    state.prompt_blocks.named_tokens = std::min(
        state.prompt_blocks.named_tokens,
        static_cast<std::int64_t>(state.prompt_blocks.names->size()) * state.prompt_blocks.hash_block_tokens);
  const Time front_end = pipeline_->front_end(request.prompt_tokens);
  if (front_end == Time{}) return reached_scheduler(slot);
  ++in_front_end_;
  queue_.schedule({queue_.now() + front_end, static_cast<std::uint32_t>(ReplicaEvent::reached_scheduler), id_,
                   pack(0, slot)},
                  front_end_priority);
}

void Replica::reached_scheduler(std::uint32_t slot) {
  states_[slot].number = ++arrived_;
  waiting_.arrive(rank(slot));
  wake();
}

void Replica::wake() {
  if (idle_.empty()) {
    if (limit_ < 0) limit_ = pipeline_full;
  } else if (!wake_scheduled_) {
    wake_scheduled_ = true;
    queue_.schedule({queue_.now(), static_cast<std::uint32_t>(ReplicaEvent::wake), id_, pack(0, 0)},
                    after_arrivals);
  }
}

void Replica::handle(const Event& event) {
  if (generation_of(event.data) != generation_) return;  // of a batch or request that went with a fault
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
    case ReplicaEvent::reached_scheduler:
      --in_front_end_;
      reached_scheduler(batch);
      break;
    case ReplicaEvent::kv_loaded:
      kv_loaded(batch);
      break;
    case ReplicaEvent::wake:
      wake_scheduled_ = false;
      try_schedule();
      break;
  }
}

// ---- the pipeline
// ----------------------------------------------------------------------------------------------

void Replica::launch(std::uint32_t b) {
  const Batch& batch = batches_[b];
  fingerprint_.add(static_cast<std::uint64_t>(batch.shape.decode_context_sum));
  fingerprint_.add(static_cast<std::uint64_t>(batch.tokens));
  totals_.decodes += batch.shape.decodes;
  arrived_at_launch_ = arrived_;
  kv_arrivals_at_launch_ = kv_arrivals_;
  const auto requests = batch.shape.decodes + static_cast<std::int64_t>(batch.chunks.size());
  // One process schedules all batches of a pipeline, one after the other.
  host_free_ = std::max(queue_.now(), host_free_) + pipeline_->host(requests);
  if (lock_step_ != nullptr) return lock_step_->join(rank_, host_free_);
  queue_.schedule({host_free_, static_cast<std::uint32_t>(ReplicaEvent::stage_entered), id_, pack(0, b)});
}

/// What a pass takes longer that begins while a message leaves or reaches its GPU.
Time Replica::beside_hop(const Stage& server, const Batch& batch, Time alone) const {
  if (server.hop_until <= queue_.now()) return {};
  const Time together = std::min(alone, server.hop_until - queue_.now());
  return Time::seconds(together.seconds() * (pipeline_->beside_hop(server.hop, !batch.chunks.empty()) - 1));
}

void Replica::start_pass(int stage) {
  Stage& server = stages_[static_cast<std::size_t>(stage)];
  if (server.busy || server.queue.empty()) return;
  const std::uint32_t b = server.queue.front();
  server.queue.pop_front();
  begin_pass(stage, b, pipeline_->pass(stage, batches_[b].shape));
}

void Replica::begin_pass(int stage, std::uint32_t b, PassTime time) {
  Stage& server = stages_[static_cast<std::size_t>(stage)];
  server.busy = true;
  time.total += beside_hop(server, batches_[b], time.total);
  recorder_.pass({id_, stage, b, queue_.now(), queue_.now() + time.total, &batches_[b].shape});
  ReplicaTotals::Stage& total = totals_.stages[static_cast<std::size_t>(stage)];
  total.busy += time.total;
  total.communication += time.communication;
  server.until = queue_.now() + time.total;
  server.under_way = time;
  if (sends_while_computing_) send_last_chunks(batches_[b], time.total);
  queue_.schedule(
      {queue_.now() + time.total, static_cast<std::uint32_t>(ReplicaEvent::pass_done), id_, pack(stage, b)});
}

void Replica::step_with(LockStep& group) {
  lock_step_ = &group;
  rank_ = group.add(*this);
}

void Replica::pass_together(PassTime time, bool own_batch) {
  account();
  if (own_batch) return begin_pass(0, 0, time);
  ReplicaTotals::Stage& total = totals_.stages.front();
  total.busy += time.total;
  total.communication += time.communication;
}

void Replica::round_over() {
  if (unfinished() > 0) wake();
}

void Replica::pass_done(int stage, std::uint32_t b) {
  if (sends_while_computing_ && listener_.still_sends(id_)) {
    sending_batch_ = b;
    return;
  }
  stages_[static_cast<std::size_t>(stage)].busy = false;
  const bool last = stage + 1 == pipeline_->stages();
  const Time hop = pipeline_->hop(stage, last ? batches_[b].shape.samples : batches_[b].tokens);
  if (!last)
    for (const int end : {stage, stage + 1}) {
      Stage& server = stages_[static_cast<std::size_t>(end)];
      if (server.hop_until >= queue_.now() + hop) continue;
      server.hop_until = queue_.now() + hop;
      server.hop = stage;
    }
  if (!shared_hops_.empty() && shared_hops_[static_cast<std::size_t>(stage)]) {
    totals_.stages[static_cast<std::size_t>(stage)].hop -= queue_.now();  // its end is added when it comes
    listener_.hop_begins(id_, stage, batches_[b].tokens, pack(stage, b));
    return start_pass(stage);
  }
  totals_.stages[static_cast<std::size_t>(stage)].hop += hop;
  const ReplicaEvent next = last ? ReplicaEvent::batch_returned : ReplicaEvent::stage_entered;
  queue_.schedule({queue_.now() + hop, static_cast<std::uint32_t>(next), id_, pack(last ? 0 : stage + 1, b)});
  start_pass(stage);
}

void Replica::returned(std::uint32_t b) {
  Batch& batch = batches_[b];
  const Time now = queue_.now();
  recorder_.step();
  ++totals_.steps;
  recorder_.gap(now - batch.last_return, batch.decodes->count());
  batch.last_return = now;
  batch.allocated = batch.slid = false;
  ahead_ = async_;
  finished_.clear();
  batch.decodes->advance(finished_);
  for (const std::uint32_t slot : finished_) {
    State& state = states_[slot];
    state.batch = none;
    const std::int64_t cached = state.prompt + state.output - 1;  // the last token is yielded, never cached
    const DecodeGroup& group = *batch.decodes;
    if (options_.speculation)
      cache_.count_in(state.held, group.blocks_held(slot), group.slid(slot));
    else
      cache_.count_in(state.held, blocks_for(cached), cached - 1);
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
    join_decodes(chunk.slot, b);
  }
  batch.chunks.clear();
  idle_.push_back(b);
  try_schedule();
  see_everything();
}

void Replica::see_everything() {
  ahead_ = false;
  for (KvCache::Holding& held : held_back_) cache_.release(held);
  held_back_.clear();
  promised_blocks_ -= std::exchange(promised_to_ended_, 0);
}

/// Its prompt is computed: from now on its blocks follow from its cached tokens.
void Replica::join_decodes(std::uint32_t slot, std::uint32_t b) {
  State& state = states_[slot];
  state.batch = b;
  cache_.slide(state.held, state.to_prefill - 1);
  named_ends_.clear();
  for (const KvCache::WindowHolding& window : state.held.windows)
    named_ends_.push_back(window.named.empty() ? 0 : window.named_end());
  batches_[b].decodes->add(slot, state.to_prefill, state.output - state.generated, state.id, named_ends_);
}

void Replica::finish(std::uint32_t slot) {
  if (role_ == ReplicaRole::prefill) return hand_over(slot);
  State& state = states_[slot];
  const std::int64_t cached = state.prompt + state.output - 1;
  name_full_blocks(state, cached);
  store_own_blocks(state, cached);
  if (ahead_) {
    held_back_.push_back(std::move(state.held));
    promised_to_ended_ += std::exchange(state.promised, 0);
  } else {
    cache_.release(state.held);
    withdraw(state);
  }
  state.prompt_blocks = {};
  unlink_running(slot);
  state.present = false;
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
  promise(state);
  if (by_priority_) running_ranks_.insert(rank(slot));
}

void Replica::unlink_running(std::uint32_t slot) {
  State& state = states_[slot];
  (state.previous == none ? running_head_ : states_[state.previous].next) = state.next;
  (state.next == none ? running_tail_ : states_[state.next].previous) = state.previous;
  state.previous = state.next = none;
  state.running = false;
  --running_count_;
  if (by_priority_) running_ranks_.erase(rank(slot));
}

}  // namespace sextant
