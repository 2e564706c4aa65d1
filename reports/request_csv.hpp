#pragma once
#include <functional>
#include <string_view>
#include <unordered_map>

#include "sim/serving/run_observer.hpp"

namespace sextant {

/// Writes one row for each request as it leaves: request, replica, status (finished, rejected), arrival_s,
/// queue_ms (arrival to first admission), ttft_ms, tpot_ms, e2el_ms, preemptions, prompt_tokens,
/// output_tokens. What a request does not have is empty. Keeps only requests that are in flight.
class RequestCsvWriter final : public RunObserver {
 public:
  /// Writes the header. Text goes to `sink` row by row.
  explicit RequestCsvWriter(std::function<void(std::string_view)> sink);

  void arrived(std::uint64_t id, std::uint32_t replica, Time) override;
  void rejected(std::uint64_t id, Time) override;
  void admitted(std::uint64_t id, Time) override;
  void preempted(std::uint64_t id, Time) override;
  void finished(const RequestTimes&) override;

 private:
  struct InFlight {
    std::uint32_t replica = 0;
    Time arrival, admitted;
    bool was_admitted = false;
    std::int64_t preemptions = 0;
  };
  std::function<void(std::string_view)> sink_;
  std::unordered_map<std::uint64_t, InFlight> in_flight_;
};

}  // namespace sextant
