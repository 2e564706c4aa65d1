#pragma once
#include <cstdint>

#include "sim/serving/metrics.hpp"

namespace sextant {

/// One request's fate.
struct RequestTimes {
  Time arrival, first_token, last_token;
  std::int64_t prompt_tokens = 0, output_tokens = 0;
};

/// Collects what a run yields, request by request and step by step, without keeping either.
class Recorder {
 public:
  explicit Recorder(RequestBounds bounds = {}) : bounds_(bounds) {}

  void arrived(Time now);
  void rejected() { ++metrics_.rejected; }
  void truncated() { ++metrics_.truncated; }
  void preempted() { ++metrics_.preemptions; }
  void step() { ++metrics_.steps; }
  void gap(Time gap, std::int64_t requests) { itl_.add(gap, requests); }
  void finished(const RequestTimes&);

  /// Fills in all that follows from the requests. `in_flight` requests are not finished yet.
  ServingMetrics result(std::int64_t in_flight) const;
  std::int64_t steps() const { return metrics_.steps; }
  Time first_arrival() const { return first_arrival_; }
  Time last_token() const { return last_token_; }

 private:
  RequestBounds bounds_;
  ServingMetrics metrics_;
  WeightedSamples ttft_, tpot_, itl_, e2el_;
  std::int64_t good_ = 0;
  Time first_arrival_ = Time::max(), last_token_, last_arrival_;
};

}  // namespace sextant
