#pragma once
#include <vector>

#include "sim/planner/search.hpp"
#include "sim/serving/simulation.hpp"

namespace sextant {

/// Tells the replicas of a layout, `ranks` at a time, that they share experts.
void share_experts(Layout&, int ranks);

/// The replicas of a layout that shares experts, ready to simulate in lock step.
std::vector<ReplicaSetup> sharing_setups(const SearchContext&, const Layout&, CostLevel level = {});

/// Analytic output tokens/s of such a layout, its ranks equally loaded: a round is every rank's decodes and
/// the chunks of the prompts that come between; each chunk holds up all ranks, those of one round together.
EstimatedLayout estimate_sharing(const SearchContext&, const Layout&);

}  // namespace sextant
