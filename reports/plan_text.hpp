#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {

/// A plan for a person: the answer first, then why. Fits style.width columns; plain ASCII tables.
std::string plan_text(const Scenario&, const Plan&, const std::vector<VariantResult>&, TextStyle = {});

}  // namespace sextant
