#pragma once
#include <cstdint>

#include "sim/serving/metrics.hpp"
#include "sim/serving/run_observer.hpp"

namespace sextant {

/// Collects what a run yields, request by request and step by step, without keeping either.
class Recorder {
 public:
  /// `observer`, if any, hears of everything as it happens; it outlives the recorder.
  explicit Recorder(RequestBounds bounds = {}, RunObserver* observer = nullptr)
      : bounds_(bounds), observer_(observer) {}

  void arrived(Time now);
  void rejected() { ++metrics_.rejected; }
  void truncated() { ++metrics_.truncated; }
  void preempted(std::uint64_t id, Time now) {
    ++metrics_.preemptions;
    if (observer_ != nullptr) observer_->preempted(id, now);
  }
  void admitted(std::uint64_t id, Time now) {
    if (observer_ != nullptr) observer_->admitted(id, now);
  }
  void pass(const ObservedPass& pass) {
    if (observer_ != nullptr) observer_->pass(pass);
  }
  /// A running request loses its place as its replica goes down.
  void moved_away(std::uint64_t id, Time now) {
    if (observer_ != nullptr) observer_->preempted(id, now);
  }
  void rerouted(std::int64_t requests, std::int64_t recomputed_tokens) {
    metrics_.rerouted += requests;
    metrics_.recomputed_tokens += recomputed_tokens;
  }
  void replica_down(Time from, Time to) {
    if (to > from) metrics_.replica_down_s += (to - from).seconds();
  }
  void step() { ++metrics_.steps; }
  void gap(Time gap, std::int64_t requests) { itl_.add(gap, requests); }
  void finished(const RequestTimes&);

  /// Fills in all that follows from the requests. `in_flight` requests are not finished yet; `percents` are
  /// percentiles of every latency besides those always there. The run ends with the last token, or later at
  /// `end`.
  ServingMetrics result(std::int64_t in_flight, const std::vector<double>& percents = {},
                        Time end = {}) const;
  std::int64_t left() const { return metrics_.finished + metrics_.rejected; }
  std::int64_t steps() const { return metrics_.steps; }
  Time first_arrival() const { return first_arrival_; }
  Time last_token() const { return last_token_; }
  Time last_arrival() const { return last_arrival_; }

 private:
  RequestBounds bounds_;
  RunObserver* observer_;
  ServingMetrics metrics_;
  WeightedSamples ttft_, tpot_, itl_, e2el_;
  std::int64_t good_ = 0;
  Time first_arrival_ = Time::max(), last_token_, last_arrival_;
};

}  // namespace sextant
