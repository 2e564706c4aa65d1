#pragma once
#include <cstdint>
#include <vector>

#include "models/cost/cost.hpp"
#include "sim/kernel/time.hpp"

namespace sextant {

/// One request's fate.
struct RequestTimes {
  Time arrival, first_token, last_token;
  std::int64_t prompt_tokens = 0, output_tokens = 0;
  std::uint64_t id = 0;
};

/// One batch in one stage of a replica, from `begin` to `end`. `shape` lives as long as the call.
struct ObservedPass {
  std::uint32_t replica = 0;
  int stage = 0;
  std::uint32_t batch = 0;
  Time begin, end;
  const PassShape* shape = nullptr;
};

/// How full a replica is at an instant.
struct ReplicaLoad {
  std::int64_t waiting = 0, running = 0, kv_blocks_used = 0;
  bool operator==(const ReplicaLoad&) const = default;
};

/// Hears of what happens in a run as it happens, for timelines and lists of requests. What it does changes no
/// result. Requests are known by their ids.
class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void arrived(std::uint64_t /*id*/, std::uint32_t /*replica*/, Time) {}
  virtual void rejected(std::uint64_t /*id*/, Time) {}
  /// From a prefill replica, which has computed its prompt, to a decode replica, where it waits again.
  virtual void handed_over(std::uint64_t /*id*/, std::uint32_t /*replica*/, Time) {}
  virtual void admitted(std::uint64_t /*id*/, Time) {}   ///< for the first time or after a preemption
  virtual void preempted(std::uint64_t /*id*/, Time) {}  ///< back to the waiting queue
  virtual void finished(const RequestTimes&) {}
  virtual void pass(const ObservedPass&) {}
  virtual void load(std::uint32_t /*replica*/, Time, const ReplicaLoad&) {}  ///< after every change
};

/// Several observers as one, told in order.
class RunObservers final : public RunObserver {
 public:
  /// `observer` outlives this.
  void add(RunObserver& observer) { observers_.push_back(&observer); }
  bool empty() const { return observers_.empty(); }

  void arrived(std::uint64_t id, std::uint32_t replica, Time now) override {
    for (RunObserver* observer : observers_) observer->arrived(id, replica, now);
  }
  void rejected(std::uint64_t id, Time now) override {
    for (RunObserver* observer : observers_) observer->rejected(id, now);
  }
  void handed_over(std::uint64_t id, std::uint32_t replica, Time now) override {
    for (RunObserver* observer : observers_) observer->handed_over(id, replica, now);
  }
  void admitted(std::uint64_t id, Time now) override {
    for (RunObserver* observer : observers_) observer->admitted(id, now);
  }
  void preempted(std::uint64_t id, Time now) override {
    for (RunObserver* observer : observers_) observer->preempted(id, now);
  }
  void finished(const RequestTimes& request) override {
    for (RunObserver* observer : observers_) observer->finished(request);
  }
  void pass(const ObservedPass& pass) override {
    for (RunObserver* observer : observers_) observer->pass(pass);
  }
  void load(std::uint32_t replica, Time now, const ReplicaLoad& load) override {
    for (RunObserver* observer : observers_) observer->load(replica, now, load);
  }

 private:
  std::vector<RunObserver*> observers_;
};

}  // namespace sextant
