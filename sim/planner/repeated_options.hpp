#pragma once
#include <cstddef>
#include <optional>
#include <vector>

#include "sim/planner/plan.hpp"

namespace sextant {

/// Of each candidate, the better-ranked one that is the same option to whoever chooses: the same choice,
/// degrees, layers and kinds of GPU stage by stage, on other GPUs, and no metric that a plan is judged by
/// differs by more than anyone would notice (noticeable.hpp). nullopt: the first of its sort.
std::vector<std::optional<std::size_t>> repeated_options(const Cluster&, const std::vector<Candidate>&);

}  // namespace sextant
