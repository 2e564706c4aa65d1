#pragma once
#include <optional>

#include "sim/planner/cost_tables.hpp"

namespace sextant {

/// Replicas of different degrees beside each other: every set of GPUs of one kind is divided by itself, as
/// one of `layouts` that uses no other kind divides it, and all combinations are weighed. Replaces `best`
/// where one is better.
void mix_replicas(CostTables&, const std::vector<EstimatedLayout>& layouts,
                  std::optional<EstimatedLayout>& best);

/// The layouts that take GPUs in cluster order and split layers evenly: no answer may be worse than these.
void consider_naive_order(CostTables&, const SearchOptions&, std::optional<EstimatedLayout>& best);

/// `dp` replicas of GPUs in the order given, stage after stage, with so many layers in each stage. There are
/// GPUs enough.
Layout layout_in_order(const std::vector<int>& gpus, const std::vector<int>& layers, int dp, LayerCut);

}  // namespace sextant
