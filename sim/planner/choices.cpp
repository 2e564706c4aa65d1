#include "sim/planner/choices.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace sextant {
namespace {

Scenario of_choice(const Scenario& scenario, const SearchChoice& choice) {
  Scenario chosen = scenario;
  chosen.model = choice.model;
  chosen.engine = choice.engine;
  return chosen;
}

WorkloadSummary summary_of(Workload workload) {
  if (workload.find_highest) {
    workload.request_rate = std::numeric_limits<double>::infinity();
    workload.max_concurrency = std::max<std::int64_t>(1, workload.num_prompts);
  }
  return summarise_workload(workload);
}

}  // namespace

PlannedChoice::PlannedChoice(const Scenario& scenario, SearchChoice choice,
                             std::shared_ptr<const Machine> machine, const GpuProfileFinder& find_profile)
    : choice_(std::move(choice)),
      scenario_(of_choice(scenario, choice_)),
      machine_(std::move(machine)),
      context_{scenario_, *machine_, summary_of(scenario_.workload), fault_epochs(scenario_, find_profile)} {}

std::vector<std::unique_ptr<PlannedChoice>> planned_choices(const Scenario& scenario,
                                                            const PlanOptions& options) {
  std::vector<SearchChoice> choices = scenario.search.choices;
  if (scenario.deployment || choices.empty()) choices = {{"", {}, scenario.model, scenario.engine}};
  std::map<std::string, std::shared_ptr<const Machine>> machines;  // by engine profile
  std::vector<std::unique_ptr<PlannedChoice>> planned;
  for (SearchChoice& choice : choices) {
    std::shared_ptr<const Machine>& machine = machines[choice.engine.profile];
    if (!machine)
      machine =
          std::make_shared<const Machine>(scenario.cluster, choice.engine.profile, options.find_profile);
    planned.push_back(
        std::make_unique<PlannedChoice>(scenario, std::move(choice), machine, options.find_profile));
  }
  return planned;
}

Workload at_load(Workload workload, double load) {
  workload.find_highest = false;
  if (workload.arrival == Workload::Arrival::concurrency)
    workload.max_concurrency = std::max<std::int64_t>(1, std::llround(load));
  else
    workload.request_rate = load;
  return workload;
}

Scenario at_load(const Scenario& scenario, double load) {
  Scenario loaded = scenario;
  loaded.workload = at_load(scenario.workload, load);
  return loaded;
}

Scenario answered_scenario(const Scenario& scenario, const Candidate& candidate) {
  Scenario answered = scenario;
  if (!scenario.deployment && candidate.choice < scenario.search.choices.size()) {
    answered.model = scenario.search.choices[candidate.choice].model;
    answered.engine = scenario.search.choices[candidate.choice].engine;
  }
  return candidate.load ? at_load(answered, candidate.simulated_load) : answered;
}

std::vector<std::pair<std::string, std::string>> candidate_changes(const Scenario& scenario,
                                                                   const Candidate& candidate) {
  std::vector<std::pair<std::string, std::string>> changes;
  if (!scenario.deployment && candidate.choice < scenario.search.choices.size()) {
    changes.emplace_back("search", "null");
    for (const auto& change : scenario.search.choices[candidate.choice].changes) changes.push_back(change);
  }
  if (!candidate.load) return changes;
  const bool closed = scenario.workload.arrival == Workload::Arrival::concurrency;
  changes.emplace_back(closed ? "workload.max_concurrency" : "workload.request_rate",
                       fmt::format("{:.10g}", candidate.simulated_load));
  return changes;
}

}  // namespace sextant
