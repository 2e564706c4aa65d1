#pragma once
#include <memory>
#include <span>

#include "sim/serving/metrics.hpp"
#include "sim/serving/replica.hpp"

namespace sextant {

/// How these replicas were used in a run of so many seconds.
PoolMetrics pool_metrics(std::span<const std::unique_ptr<Replica>>, double duration_s);

}  // namespace sextant
