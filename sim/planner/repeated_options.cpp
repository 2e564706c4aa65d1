#include "sim/planner/repeated_options.hpp"

#include <cmath>

#include "sim/planner/noticeable.hpp"

namespace sextant {
namespace {

bool alike(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b)) || !(noticeably_differ(a, b) || std::isnan(a - b));
}

bool same_hardware(const Cluster& cluster, const Layout& a, const Layout& b) {
  if (a.describe() != b.describe() || a.ep != b.ep || a.replicas.size() != b.replicas.size()) return false;
  for (std::size_t r = 0; r < a.replicas.size(); ++r) {
    if (a.replicas[r].size() != b.replicas[r].size()) return false;
    for (std::size_t s = 0; s < a.replicas[r].size(); ++s) {
      const StagePlacement &one = a.replicas[r][s], &other = b.replicas[r][s];
      if (one.layers != other.layers || one.gpus.size() != other.gpus.size() ||
          cluster.kinds(one.gpus) != cluster.kinds(other.gpus))
        return false;
    }
  }
  return true;
}

bool same_results(const Candidate& a, const Candidate& b) {
  if (a.startable != b.startable || a.meets_slo != b.meets_slo || a.kv_tokens != b.kv_tokens ||
      a.metrics.rejected != b.metrics.rejected || a.load.has_value() != b.load.has_value())
    return false;
  if (a.load && !alike(a.load->highest, b.load->highest)) return false;
  const ServingMetrics &m = a.metrics, &n = b.metrics;
  const auto alike_latency = [](const auto& x, const auto& y) {
    return alike(x.mean, y.mean) && alike(x.p99, y.p99);
  };
  return alike(m.output_throughput, n.output_throughput) && alike_latency(m.ttft, n.ttft) &&
         alike_latency(m.tpot, n.tpot) && alike_latency(m.e2el, n.e2el);
}

bool same_option(const Cluster& cluster, const Candidate& a, const Candidate& b) {
  if (a.choice != b.choice || (a.prefill == nullptr) != (b.prefill == nullptr)) return false;
  return same_hardware(cluster, a.layout, b.layout) &&
         (!a.prefill || same_hardware(cluster, a.prefill->layout, b.prefill->layout)) && same_results(a, b);
}

}  // namespace

std::vector<std::optional<std::size_t>> repeated_options(const Cluster& cluster,
                                                         const std::vector<Candidate>& candidates) {
  std::vector<std::optional<std::size_t>> repeats(candidates.size());
  for (std::size_t i = 1; i < candidates.size(); ++i)
    for (std::size_t first = 0; first < i && !repeats[i]; ++first)
      if (!repeats[first] && same_option(cluster, candidates[first], candidates[i])) repeats[i] = first;
  return repeats;
}

}  // namespace sextant
