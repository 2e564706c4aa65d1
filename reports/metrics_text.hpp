#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {

/// A simulated run of a fixed deployment.
struct SimulatedRun {
  std::uint64_t replication = 0;
  Candidate candidate;
};

/// How one metric varies over independent replications.
struct MetricSpread {
  std::string metric;
  double mean = 0, deviation = 0, low = 0, high = 0;  ///< deviation of the sample (n - 1); 0 for a single run
  double margin =
      0;  ///< the mean's 95 % confidence interval is mean -+ margin (Student's t); 0 for a single run
};
std::vector<MetricSpread> spread_over(const std::vector<SimulatedRun>&);

/// Which latencies the text shows, by vLLM's names, in this order whatever order they are given in. The
/// percentiles of a run are those in ServingMetrics::percentiles; without any, p90 and p99.
using ShownLatencies = std::vector<std::string>;
inline const ShownLatencies& all_latencies() {
  static const ShownLatencies all = {"ttft", "tpot", "itl", "e2el"};
  return all;
}

/// The block that `vllm bench serve` prints, then stages, KV cache, limits and fingerprint of the first run;
/// with several runs also the spread over them. `runs` is not empty.
std::string metrics_text(const Scenario&, const std::vector<SimulatedRun>& runs, TextStyle = {},
                         const ShownLatencies& = all_latencies());

}  // namespace sextant
