#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string_view>
#include <vector>

#include "sim/serving/run_observer.hpp"

namespace sextant {

/// Writes a run as Chrome trace JSON, which Perfetto opens: a process for every replica with a track for each
/// stage, on which the passes lie as slices, an async slice for every request with its times of waiting and
/// running inside, and counters of waiting and running requests and of KV blocks. Times are microseconds with
/// three decimals, that is exact. After `most_events` it closes what is open and writes no more.
class PerfettoWriter final : public RunObserver {
 public:
  using Sink = std::function<void(std::string_view)>;
  /// Text goes to `sink` piece by piece. `most_events` counts slices, ends, instants and counter values.
  PerfettoWriter(Sink sink, int replicas, int stages, std::int64_t most_events);
  /// Ends the document. Nothing is written after it.
  void finish();
  /// When it stopped for having written `most_events`; nullopt: it holds the whole run.
  std::optional<Time> cut_at() const { return cut_at_; }
  std::int64_t events() const { return events_; }

  void arrived(std::uint64_t id, std::uint32_t replica, Time) override;
  void rejected(std::uint64_t id, Time) override;
  void handed_over(std::uint64_t id, std::uint32_t replica, Time) override;
  void admitted(std::uint64_t id, Time) override;
  void preempted(std::uint64_t id, Time) override;
  void finished(const RequestTimes&) override;
  void pass(const ObservedPass&) override;
  void load(std::uint32_t replica, Time, const ReplicaLoad&) override;

 private:
  struct OpenRequest {
    std::uint32_t replica = 0;
    bool running = false;
  };
  struct Counters {
    Time at;
    ReplicaLoad load, written;
    bool changed = false, any_written = false;
  };

  bool full(Time now);
  void event(std::string_view json);
  void async(char phase, std::uint64_t id, std::uint32_t replica, Time, std::string_view name,
             std::string_view arguments = "");
  void close(std::uint64_t id, const OpenRequest&, Time, std::string_view arguments);
  void counter(std::uint32_t replica, const Counters&, std::string_view name, std::int64_t value);
  void write_counters(std::uint32_t replica);

  Sink sink_;
  std::int64_t most_events_;
  std::int64_t events_ = 0;
  bool first_ = true;
  std::optional<Time> cut_at_;
  std::map<std::uint64_t, OpenRequest> open_;
  std::vector<Counters> counters_;
};

}  // namespace sextant
