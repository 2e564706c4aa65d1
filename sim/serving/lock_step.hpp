#pragma once
#include <cstdint>
#include <vector>

#include "sim/kernel/event_queue.hpp"
#include "sim/serving/pipeline_model.hpp"

namespace sextant {

class Replica;

/// Replicas that are data-parallel ranks of one server: they share experts, so that all make each pass
/// together, whoever has work.
///
/// A round opens when a rank fills a batch and ranks that fill theirs at that instant join it. It begins when
/// the host of the slowest of them is done and ends for all at once; a rank whose requests come meanwhile
/// waits for the next, as its engine is at work on a batch of nothing (vllm/v1/engine/core.py,
/// DPEngineCoreProc).
class LockStep {
 public:
  /// Kind of its events; `number`, their target, tells it from others of the run.
  static constexpr std::uint32_t event_kind = 35;

  LockStep(const PipelineModel&, std::uint32_t number, EventQueue&);
  /// The rank's place in the round; it outlives this.
  std::uint32_t add(Replica&);
  /// Whether a batch that is filled now would still be of this round.
  bool open() const { return phase_ != Phase::under_way; }
  /// That rank's batch is filled, and its host done at `ready`.
  void join(std::uint32_t rank, Time ready);
  void handle(const Event&);

 private:
  enum class Phase { idle, filling, under_way };
  enum Moment : std::uint64_t { filled, begins, ends };
  void schedule(Time, Moment, std::uint8_t priority);
  void begin();
  void end();

  const PipelineModel& pipeline_;
  std::uint32_t number_;
  EventQueue& queue_;
  std::vector<Replica*> ranks_;
  std::vector<bool> joined_;       // this round, by rank
  std::vector<PassShape> shapes_;  // by rank, scratch
  Phase phase_ = Phase::idle;
  Time ready_;
};

}  // namespace sextant
