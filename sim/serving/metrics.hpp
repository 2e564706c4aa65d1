#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sim/kernel/time.hpp"
#include "sim/serving/queue_growth.hpp"

namespace sextant {

/// Values that come many at a time, each with how often: all requests of a step share its gap, so 10^8 gaps
/// need no list. Up to 2^18 different values are kept as they are; more are rounded to 14 binary digits (at
/// most 0.0061 % off), so that memory is bounded however many there are. The mean is exact.
class WeightedSamples {
 public:
  void add(Time value, std::int64_t weight);
  std::int64_t count() const { return count_; }
  /// Not a number if empty.
  double mean_ms() const;
  /// Linear between order statistics, as numpy's default. `fraction` in [0, 1]. Not a number if empty.
  double percentile_ms(double fraction) const;

 private:
  void compact() const;
  void round_values();
  static std::size_t bin(std::int64_t ns);
  static double middle_ms(std::size_t bin);
  template <class Visit>
  void visit_sorted(Visit) const;
  mutable std::vector<std::pair<std::int64_t, std::int64_t>> values_;  // (ns, weight)
  mutable std::size_t compacted_ = 0;  // values_[0, compacted_) is sorted and merged
  std::vector<std::int64_t> bins_;     // weight by bin(), once there are too many values
  std::int64_t count_ = 0;
  double sum_ms_ = 0;
};

/// Mean and percentiles in milliseconds; not a number without samples.
struct LatencySummary {
  double mean = 0, median = 0, p90 = 0, p99 = 0;
};
LatencySummary summarise(const WeightedSamples&);

/// A percentile that was asked for.
struct AskedPercentile {
  std::string latency;  ///< ttft, tpot, itl or e2el
  double percent = 0;   ///< in [0, 100]
  double ms = 0;        ///< not a number without samples
  /// As vLLM names it: "p95_ttft_ms", "p99.9_itl_ms".
  std::string name() const;
};

/// Why the head of the waiting queue was not admitted, as shares of the time during which anything waited.
struct AdmissionLimits {
  double kv_blocks = 0;
  double max_num_seqs = 0;
  double max_num_batched_tokens = 0;
  double pipeline_full = 0;  ///< every batch in flight: requests wait for a batch to return
};

/// What one stage did, as shares of the run's duration; they sum to 1.
struct StageShares {
  double compute = 0;        ///< passes, less their collectives
  double communication = 0;  ///< tensor-parallel collectives inside passes
  double bubble = 0;         ///< nothing to do
  double hop_busy = 0;       ///< of the link to the next stage (not part of the sum)
};

/// How replicas of one kind were used; the same figures as in ServingMetrics.
struct PoolMetrics {
  double mean_running = 0, mean_waiting = 0;
  double mean_batch_decodes = 0;
  double kv_occupancy_mean = 0, kv_occupancy_peak = 0;
  std::int64_t kv_blocks = 0;
  AdmissionLimits limits;
  std::vector<StageShares> stages;
};

/// KV on its way from prefill to decode replicas.
struct KvTransferMetrics {
  std::int64_t transfers = 0;
  double bytes = 0;
  /// From the moment the decode replica has blocks for it (layer by layer: from when its first layer is
  /// computed) to its last byte.
  LatencySummary transfer;
  LatencySummary handover;  ///< from the end of the prefill until the decode replica has it and room for it
};

/// A run's two pools, where prefill and decode are apart.
struct DisaggregationMetrics {
  PoolMetrics prefill;
  KvTransferMetrics kv;
};

/// What speculative decoding did, by the names of `vllm bench serve`; all 0 without it.
struct SpeculationCounts {
  std::int64_t drafts = 0;  ///< times a request's tokens were drafted and verified
  std::int64_t draft_tokens = 0, accepted_tokens = 0;
  double acceptance_rate() const;    ///< accepted of all drafted; not a number without drafts
  double acceptance_length() const;  ///< tokens a draft yields, the model's own included
};

/// What KV offloading to host memory did; all 0 without it.
struct OffloadCounts {
  std::int64_t hit_tokens = 0;  ///< of prompts, found in host memory and copied back
  double bytes_to_host = 0, bytes_from_host = 0;
};

/// The result of one run. Names and formulas are those of `vllm bench serve`:
/// TPOT = (E2EL - TTFT) / (output tokens - 1), over requests of at least two output tokens; ITL pools every
/// gap. The tokens that speculation yields in one step come at once and make one gap, as a chunk of an
/// answer's stream does there.
struct ServingMetrics {
  std::int64_t arrived = 0, finished = 0, rejected = 0, in_flight = 0;
  std::int64_t truncated = 0;  ///< outputs cut at max_model_len
  std::int64_t preemptions = 0;
  std::int64_t rerouted = 0;           ///< times a request was on a replica that went down
  std::int64_t recomputed_tokens = 0;  ///< that their lost KV cache held
  double replica_down_s = 0;           ///< seconds that replicas were down, summed, within the run's duration
  std::int64_t steps = 0;              ///< batches that went through all stages
  std::int64_t prompt_tokens = 0, output_tokens = 0;  ///< of finished requests
  double duration_s =
      0;  ///< first arrival to last token; to the last arrival or fault where requests are never served
  double request_throughput = 0;  ///< finished requests/s
  double output_throughput = 0;   ///< output tokens/s
  double total_token_throughput = 0;
  LatencySummary ttft, tpot, itl, e2el;
  std::vector<AskedPercentile> percentiles;  ///< by latency, then as asked
  double goodput_fraction = 1;               ///< of all requests that arrived; a rejected one is not good
  double request_goodput = 0;                ///< requests/s that did
  double mean_running = 0, mean_waiting = 0;
  double mean_batch_decodes = 0;                        ///< decodes in a step, averaged over steps
  double kv_occupancy_mean = 0, kv_occupancy_peak = 0;  ///< share of the blocks
  std::int64_t kv_blocks = 0;                           ///< of one replica
  AdmissionLimits limits;
  SpeculationCounts speculation;
  OffloadCounts offload;
  std::vector<StageShares> stages;  ///< averaged over replicas
  /// Where prefill and decode are apart: the figures from mean_running to `stages` are then of the decode
  /// pool alone, and these of the rest.
  std::optional<DisaggregationMetrics> disaggregation;
  bool overloaded = false;  ///< open loop: requests arrived faster than they were served (QueueGrowth)
  Overload overload;        ///< where overloaded
  std::uint64_t events = 0;
  std::string fingerprint;
};

/// Bounds every request must meet to count as good ("goodput ttft:200 tpot:50"); 0: no bound.
struct RequestBounds {
  double ttft_ms = 0, tpot_ms = 0, e2el_ms = 0;
};

}  // namespace sextant
