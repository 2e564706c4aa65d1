#include "sim/serving/lock_step.hpp"

#include <algorithm>

#include "sim/serving/replica.hpp"

namespace sextant {
namespace {

/// After the wakes of an instant (replica.cpp), which follow its arrivals.
constexpr std::uint8_t after_wakes = 251;
constexpr std::uint8_t like_the_machine = 128;

}  // namespace

LockStep::LockStep(const PipelineModel& pipeline, std::uint32_t number, EventQueue& queue)
    : pipeline_(pipeline), number_(number), queue_(queue) {}

std::uint32_t LockStep::add(Replica& replica) {
  ranks_.push_back(&replica);
  joined_.push_back(false);
  return static_cast<std::uint32_t>(ranks_.size() - 1);
}

void LockStep::schedule(Time at, Moment moment, std::uint8_t priority) {
  queue_.schedule({at, event_kind, number_, moment}, priority);
}

void LockStep::join(std::uint32_t rank, Time ready) {
  if (phase_ == Phase::idle) {
    phase_ = Phase::filling;
    ready_ = ready;
    schedule(queue_.now(), filled, after_wakes);
  }
  ready_ = std::max(ready_, ready);
  joined_[rank] = true;
}

void LockStep::handle(const Event& event) {
  switch (static_cast<Moment>(event.data)) {
    case filled:
      phase_ = Phase::under_way;
      schedule(ready_, begins, like_the_machine);
      break;
    case begins:
      begin();
      break;
    case ends:
      end();
      break;
  }
}

void LockStep::begin() {
  shapes_.clear();
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    shapes_.push_back(joined_[r] ? ranks_[r]->filled_shape() : PassShape{});
  const PassTime time = pipeline_.pass_together(shapes_);
  // Before the ranks' own ends of it, so that they may fill again.
  schedule(queue_.now() + time.total, ends, like_the_machine);
  for (std::size_t r = 0; r < ranks_.size(); ++r) ranks_[r]->pass_together(time, joined_[r]);
}

void LockStep::end() {
  phase_ = Phase::idle;
  for (std::size_t r = 0; r < ranks_.size(); ++r)
    if (!joined_[r]) ranks_[r]->round_over();
  std::fill(joined_.begin(), joined_.end(), false);
}

}  // namespace sextant
