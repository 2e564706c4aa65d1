#pragma once
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"

namespace sextant {

/// What the objective is measured in: of a layout, how much it gives or costs.
struct ObjectiveFigure {
  std::string name;  ///< "output_throughput", "highest_load", "usd_per_million_output_tokens", …
  bool more_is_better = true;
  std::optional<double> value;  ///< nullopt: not known of this layout
};
ObjectiveFigure objective_figure(Objective, const Candidate&);

/// Whether `a` ranks before `b`: one that starts and rejects nothing first, then one that meets the SLO, then
/// the better by the objective in classes of a percent, and within a class the shorter mean latency. A figure
/// that is not known ranks last.
bool ranks_before(Objective, const Candidate& a, const Candidate& b);

/// One measure of a Pareto front.
struct FrontMeasure {
  std::string name;
  bool more_is_better = false;
};

/// The measures of a scenario's front: output throughput (or the highest load), the first latency of the SLO
/// (else mean TPOT), and cost and energy where every candidate has them.
std::vector<FrontMeasure> front_measures(const Scenario&, const std::vector<Candidate>&);

/// A candidate's figure by that name; not a number where it has none.
double figure_of(const Candidate&, const std::string& name);

/// Indices of the candidates that no other is at least as good as in every measure and better in one, in
/// order of the first measure, best first; only those that start, serve every request and meet the SLO,
/// unless none does.
std::vector<std::size_t> pareto_front(const std::vector<Candidate>&, const std::vector<FrontMeasure>&);

}  // namespace sextant
