#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "sim/serving/run_observer.hpp"

namespace sextant {

/// A run over time in a fixed number of bins, however long it is: the bins start a millisecond wide and
/// double their width whenever the run outgrows them, neighbours merging. So a run of 10^6 requests takes as
/// much memory, and as much of a page, as one of ten.
class RunSeries final : public RunObserver {
 public:
  static constexpr std::size_t most_bins = 240;
  RunSeries(int replicas, int stages);

  void arrived(std::uint64_t id, std::uint32_t replica, Time) override;
  void rejected(std::uint64_t id, Time) override;
  void preempted(std::uint64_t id, Time) override;
  void finished(const RequestTimes&) override;
  void pass(const ObservedPass&) override;
  void load(std::uint32_t replica, Time, const ReplicaLoad&) override;

  /// {bin_s, bins, rule, start_s [], waiting_mean [], waiting_peak [], running_mean [], kv_blocks_mean [],
  /// kv_blocks_peak [], arrived [], finished [], output_tokens [], stage_busy [stage][], ttft_ms_mean [],
  /// latency {ttft|tpot|e2el: [{from_ms, to_ms, count}]}}. Counts are summed over replicas, stage_busy is the
  /// mean over replicas of the share of the bin in which the stage computed.
  nlohmann::ordered_json json() const;

 private:
  struct Bin {
    double waiting_ns = 0, running_ns = 0, kv_ns = 0;  // integrals over time
    std::int64_t waiting_peak = 0, running_peak = 0, kv_peak = 0;
    std::int64_t arrived = 0, rejected = 0, preempted = 0, finished = 0, output_tokens = 0;
    std::int64_t first_tokens = 0;
    double ttft_ms = 0;  // summed over the requests whose first token came in the bin
    std::vector<double> busy_ns;
  };
  /// Counts by latency in bins of equal ratio.
  class Histogram {
   public:
    void add(double ms);
    nlohmann::ordered_json json() const;

   private:
    static constexpr int bins_per_decade = 20;
    std::map<int, std::int64_t> counts_;
  };

  Bin& at(Time);
  void reach(Time);
  void merge_neighbours();
  /// Brings the integrals of the load up to `now`.
  void account(Time now);
  void spread(Time begin, Time end, const std::function<void(Bin&, double ns)>&);

  int replicas_, stages_;
  std::int64_t width_ns_ = 1'000'000;
  std::vector<Bin> bins_;
  std::vector<ReplicaLoad> loads_;
  ReplicaLoad total_;
  Time accounted_;
  Histogram ttft_, tpot_, e2el_;
};

}  // namespace sextant
