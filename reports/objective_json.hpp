#pragma once
#include <nlohmann/json_fwd.hpp>
#include <optional>

#include "sim/planner/plan.hpp"

// Parts of plan_json: what the objective, the highest load and the comparisons say (reports/README.md).
namespace sextant::detail {

/// {"unit", "highest", …, "probes"}; null where no load was looked for.
nlohmann::ordered_json load_json(const std::optional<LoadSearch>&);
/// [{"name", "best", "reason"}]
nlohmann::ordered_json choices_json(const std::vector<ChoiceResult>&);
/// {"measures", "candidates"}; null without a front.
nlohmann::ordered_json front_json(const std::optional<ParetoFront>&);
/// {"a", "b", "metric", "probability", "parts", "settled_by"}; null without a comparison.
nlohmann::ordered_json comparison_json(const std::optional<LayoutComparison>&);
/// [{"path", "value"}]: what makes the scenario's document the candidate's.
nlohmann::ordered_json changes_json(const Scenario&, const Candidate&);

}  // namespace sextant::detail
