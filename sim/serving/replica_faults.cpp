#include <algorithm>

#include "sim/serving/replica.hpp"

// What a replica does when it goes down: its requests leave, its cache and its work in flight are lost.

namespace sextant {

std::vector<MovedRequest> Replica::evacuate(std::int64_t& lost_tokens) {
  account();
  std::vector<MovedRequest> leaving;
  for (std::uint32_t slot = 0; slot < states_.size(); ++slot)
    if (states_[slot].present) leaving.push_back(taken_out(slot, lost_tokens));
  std::sort(leaving.begin(), leaving.end(), [](const MovedRequest& a, const MovedRequest& b) {
    return a.arrival != b.arrival ? a.arrival < b.arrival : a.request.id < b.request.id;
  });
  forget_everything();
  return leaving;
}

MovedRequest Replica::taken_out(std::uint32_t slot, std::int64_t& lost_tokens) const {
  const State& state = states_[slot];
  MovedRequest moved;
  moved.moved = true;
  moved.arrival = state.arrival;
  moved.first_token = state.first_token;
  moved.last_token = state.last_token;
  moved.generated = state.generated;
  moved.request = {state.arrival, state.prompt, state.output, state.prompt_blocks, state.priority, state.id};
  std::int64_t computed = state.running ? state.scheduled : 0;
  if (state.batch != none) {
    const Batch& batch = batches_[state.batch];
    computed = batch.decodes->cached(slot);
    moved.generated = state.output - batch.decodes->remaining(slot);
    moved.last_token = batch.last_return;
  }
  lost_tokens += computed;
  if (state.running) recorder_.moved_away(state.id, queue_.now());
  return moved;
}

void Replica::forget_everything() {
  for (std::uint32_t slot = 0; slot < states_.size(); ++slot) {
    if (!states_[slot].present) continue;
    const std::uint32_t epoch = states_[slot].epoch;
    states_[slot] = State{};
    states_[slot].epoch = epoch;
    free_slots_.push_back(slot);
  }
  cache_ = KvCache(cache_.blocks(), cache_.pool(), options_.enable_prefix_caching);
  waiting_ = WaitingQueue(by_priority_);
  running_ranks_.clear();
  running_head_ = running_tail_ = none;
  running_count_ = in_front_end_ = 0;
  promised_blocks_ = promised_to_ended_ = 0;
  host_free_ = Time{};
  prefilling_.clear();
  held_back_.clear();
  loaded_waiting_.clear();
  loading_.clear();
  host_link_free_ = Time{};
  set_up();
  for (std::size_t s = 0; s < stages_.size(); ++s) {
    // Of a pass under way only what has passed counts as work.
    if (const Stage& stage = stages_[s]; stage.busy && stage.until > queue_.now()) {
      const Time rest = stage.until - queue_.now();
      const double share = rest.seconds() / stage.under_way.total.seconds();
      totals_.stages[s].busy -= rest;
      totals_.stages[s].communication -= Time::seconds(stage.under_way.communication.seconds() * share);
    }
    stages_[s] = Stage{};
  }
  wake_scheduled_ = ahead_ = preempted_in_fill_ = false;
  limit_ = -1;
  ++generation_;
}

}  // namespace sextant
