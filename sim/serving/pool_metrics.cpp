#include "sim/serving/pool_metrics.hpp"

#include <algorithm>

namespace sextant {

PoolMetrics pool_metrics(std::span<const std::unique_ptr<Replica>> replicas, double duration_s) {
  PoolMetrics m;
  const double replica_seconds = duration_s * static_cast<double>(replicas.size());
  double limited = 0, decodes = 0, waiting = 0;
  std::int64_t steps = 0;
  std::array<double, 4> limits{};
  for (const auto& replica : replicas) {
    const ReplicaTotals& totals = replica->totals();
    m.kv_blocks = replica->kv_blocks();
    if (m.stages.empty()) m.stages.resize(totals.stages.size());
    for (std::size_t s = 0; s < totals.stages.size() && s < m.stages.size(); ++s) {
      const auto& stage = totals.stages[s];
      m.stages[s].compute += (stage.busy - stage.communication).seconds() / replica_seconds;
      m.stages[s].communication += stage.communication.seconds() / replica_seconds;
      m.stages[s].hop_busy += stage.hop.seconds() / replica_seconds;
    }
    m.mean_running += totals.running_seconds / duration_s;
    waiting += totals.waiting_seconds;
    decodes += static_cast<double>(totals.decodes);
    steps += totals.steps;
    const auto blocks = static_cast<double>(replica->kv_blocks());
    m.kv_occupancy_mean += totals.kv_block_seconds / blocks / replica_seconds;
    m.kv_occupancy_peak = std::max(m.kv_occupancy_peak, static_cast<double>(totals.kv_blocks_peak) / blocks);
    for (std::size_t i = 0; i < limits.size(); ++i) limits[i] += totals.limit_seconds[i];
  }
  for (StageShares& stage : m.stages) stage.bubble = 1 - stage.compute - stage.communication;
  m.mean_waiting = waiting / duration_s;
  if (steps > 0) m.mean_batch_decodes = decodes / static_cast<double>(steps);
  for (const double seconds : limits) limited += seconds;
  if (limited > 0)
    m.limits = {limits[0] / limited, limits[1] / limited, limits[2] / limited, limits[3] / limited};
  return m;
}

}  // namespace sextant
