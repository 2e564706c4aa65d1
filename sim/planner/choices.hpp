#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sim/planner/search.hpp"

namespace sextant {

/// One combination of formats and engine options, with what a search over its layouts works on. It is pointed
/// into, so it stays where it is.
class PlannedChoice {
 public:
  PlannedChoice(const Scenario&, SearchChoice, std::shared_ptr<const Machine>, const GpuProfileFinder&);
  PlannedChoice(const PlannedChoice&) = delete;
  PlannedChoice& operator=(const PlannedChoice&) = delete;

  const std::string& name() const { return choice_.name; }
  bool apart() const { return choice_.apart; }  ///< prefill and decode in pools of their own
  const std::vector<std::pair<std::string, std::string>>& changes() const { return choice_.changes; }
  const Scenario& scenario() const { return scenario_; }
  const SearchContext& context() const { return context_; }

 private:
  SearchChoice choice_;
  Scenario scenario_;
  std::shared_ptr<const Machine> machine_;
  SearchContext context_;
};

/// Every choice of the scenario's search; the scenario itself where it gives none. Where the highest load is
/// looked for, the workload of the contexts is without limit, so that estimates are of what a layout can
/// serve.
std::vector<std::unique_ptr<PlannedChoice>> planned_choices(const Scenario&, const PlanOptions&);

/// The workload, and the scenario, at that load: requests/s, or requests at once of a closed loop.
Workload at_load(Workload, double load);
Scenario at_load(const Scenario&, double load);

/// The scenario as the candidate answers it: with its formats, engine options and load.
Scenario answered_scenario(const Scenario&, const Candidate&);

/// The (path, JSON text) pairs that make the scenario's document that one; empty where it is already.
std::vector<std::pair<std::string, std::string>> candidate_changes(const Scenario&, const Candidate&);

}  // namespace sextant
