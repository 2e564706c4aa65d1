#pragma once
#include <string>
#include <vector>

#include "reports/metrics_text.hpp"
#include "reports/run_series.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {

/// {"format": "sextant plan", "version": 1, …}: every field of the plan under its own name
/// (reports/README.md). Numbers are finite; what is not is null. `document` is the scenario as read, with
/// every
/// --set, so that the plan alone can be launched; `command` gives the same result again.
std::string plan_json(const Scenario&, const Plan&, const std::vector<VariantResult>&,
                      const JsonValue* document = nullptr, const std::string& command = "");

/// {"format": "sextant metrics", "version": 1, …}: the runs of a fixed deployment and their spread. `series`
/// is of the first run.
std::string metrics_json(const Scenario&, const std::vector<SimulatedRun>&, const std::string& command = "",
                         const RunSeries* series = nullptr);

/// One row per candidate, best first, with a header (RFC 4180).
std::string plan_csv(const Scenario&, const Plan&);

}  // namespace sextant
