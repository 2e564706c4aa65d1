#pragma once
#include <string>
#include <vector>

#include "sim/planner/choices.hpp"

namespace sextant {

/// A layout of a choice, of which one replica serves one user.
struct LoneLayout {
  const PlannedChoice* choice = nullptr;
  Layout layout;
};

/// Checks every bound on a latency (and on goodput_fraction) against one request at a time, the first 200 of
/// the workload, on one replica of each layout: no load is kinder to a request. Throws InfeasibleError for a
/// bound that no layout meets even then, naming the fastest layout, what takes its time, and the nearest
/// bound that is possible.
void require_possible_slo(const std::vector<LoneLayout>&, const PlanOptions&);

/// That bound, rounded up (of an upper bound; else down) to three digits, in the SLO's syntax:
/// "\"p99_tpot_ms\": \"<=9.81\"".
std::string nearest_bound(const ServiceLevel&, double value);

}  // namespace sextant
