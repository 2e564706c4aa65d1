#pragma once
#include <atomic>
#include <string>

#include "sim/sweep/grid.hpp"

namespace sextant {

/// Plans (deployment "search") or simulates (a fixed one) a point and returns its row, one line of JSON
/// without the line end: point, values, status ("ok", "no plan": nothing fits or serves, "refused": the
/// values do not make a scenario), reason, and of the best candidate layout and headline metrics. A pure
/// function of grid and point. Throws Interrupted if stopped.
std::string run_point(const SweepGrid&, std::uint64_t point, const std::atomic<bool>* stop);

}  // namespace sextant
