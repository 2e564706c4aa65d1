#pragma once
#include <span>
#include <vector>

#include "sim/fabric/flow_engine.hpp"

namespace sextant {

/// A flow and when it begins.
struct ScheduledFlow {
  Time start;
  std::vector<int> path;  ///< link directions
  double bytes = 0;
  double limit_gbps = FlowEngine::no_limit;  ///< 10^9 B/s
  Time latency{};
};

/// Runs flows through the kernel's event queue until the last has ended. When each ended, in their order.
/// Throws InputError as FlowEngine::start does.
std::vector<Time> run_schedule(FlowEngine, std::span<const ScheduledFlow>);

}  // namespace sextant
