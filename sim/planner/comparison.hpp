#pragma once
#include <map>
#include <set>
#include <string>
#include <vector>

#include "sim/planner/candidate.hpp"
#include "sim/planner/objective.hpp"

namespace sextant {

/// What the error of one operator family (or of what no operator covers) does to a layout.
struct FamilyEffect {
  std::string family;
  std::set<std::string> sources;  ///< what its times rest on: "h200-sxm gemm fp8", "nvlink4 all_reduce"
  /// Metrics at the slow and at the fast end of the family's 90 % interval.
  std::map<std::string, double> slow, fast;
};

/// A layout with what the model's error does to it, family by family.
struct ErrorEffects {
  std::string name;                       ///< of the layout, with what was chosen
  bool sound = true;                      ///< it starts and rejects nothing
  std::map<std::string, double> nominal;  ///< named metrics, and the objective's figure
  std::vector<FamilyEffect> families;
};

/// What the perturbed runs of a candidate say, with what its times rest on. Of a highest load, each end's own
/// highest load besides (perturbed_loads).
ErrorEffects error_effects(const SearchContext&, const Candidate&, Objective, const PerturbedRuns&,
                           const PlanOptions&);

/// The same for a candidate of a plan of that scenario: at its formats, engine options and load.
ErrorEffects plan_effects(const Scenario&, const Candidate&, Objective, const PlanOptions&);

/// The correlation of one family's errors in two layouts: each error is taken as the sum of equal independent
/// parts, one for each source, so what both rest on is common: |a and b| / sqrt(|a| |b|).
double shared_error(const std::set<std::string>& a, const std::set<std::string>& b);

/// The probability that `a` beats `b`: 20,000 draws of every family's level (normal, +-1 at the ends of its
/// 90 % interval, correlated between the two as shared_error says), each metric's logarithm linear in the
/// levels, slow and fast side apart; in each draw the one that meets the SLO wins, else the better by the
/// objective's figure, or by mean latency where the figures are within a percent anyway. Both must have
/// served the same requests. Chance of the requests themselves is not in it.
LayoutComparison compare(const ErrorEffects& a, const ErrorEffects& b, const std::vector<ServiceLevel>&,
                         const std::string& figure, bool more_is_better);

/// A candidate with the scenario it answers: two that are compared may stand on clusters of their own.
struct ComparedCandidate {
  const Scenario& scenario;
  const Candidate& candidate;
  const ErrorEffects& effects;
};

/// `compare` of two candidates of one objective, judged by the SLO of `a`, with what would settle it.
LayoutComparison compare_candidates(const ComparedCandidate& a, const ComparedCandidate& b, Objective);

/// What one operator family does to a layout of the scenario's cluster.
struct MeasuredLayout {
  const Scenario& scenario;
  const Layout& layout;
  const FamilyEffect& effect;
};

/// The `sextant-measure …` line that measures what a family's times rest on, for the sources of `a` that `b`
/// lacks and the other way round (all of them where none differ).
std::string measurement_line(const MeasuredLayout& a, const MeasuredLayout& b);

}  // namespace sextant
