#pragma once
#include <string>
#include <vector>

#include "reports/terminal.hpp"
#include "sim/planner/plan.hpp"

// The sections of plan_text, each its own function; a section with nothing to say is empty.
namespace sextant::detail {

/// "Stages" in bold on a line of its own, after an empty line.
std::string heading(const std::string& title, TextStyle);

/// "workload: 4 requests/s (Poisson), prompts of ..".
std::string workload_line(const Workload&);

/// Model, cluster, engine and workload in a sentence each: "model: …".
std::vector<std::string> question_lines(const Scenario&);
/// What is planned: scenario, model, cluster, workload.
std::string question_section(const Scenario&, TextStyle);
/// What to run, what it gives, whether that meets the SLO, how far to trust it.
std::string answer_section(const Scenario&, const Candidate& best, TextStyle);
/// Stages, hops, memory and families of the best candidate.
std::string stages_section(const Candidate& best, TextStyle);
std::string hops_section(const Candidate& best, TextStyle);
std::string memory_section(const Candidate& best, double utilisation, TextStyle);
std::string families_section(const Candidate& best, TextStyle);
/// What limited the best candidate.
/// Of two pools: the stages of the one that computes prompts, and what goes from it to the other.
std::string prefill_pool_section(const Scenario&, const Candidate& best, TextStyle);
std::string limits_section(const Plan&, TextStyle);
std::string candidates_section(const Scenario&, const Plan&, TextStyle);
std::string rejections_section(const std::vector<Rejection>&, TextStyle);
std::string variants_section(const Scenario&, const Plan& base, const std::vector<VariantResult>&, TextStyle);
/// The loads that were tried, where the highest was looked for.
std::string load_section(const Candidate& best, TextStyle);
/// Formats and engine options: which was chosen and what the others gave.
std::string chosen_section(const Plan&, TextStyle);
/// The layouts that no other beats in every measure.
std::string front_section(const Scenario&, const Plan&, TextStyle);
/// How probable it is that the best beats the next, and what to measure to know.
std::string certainty_section(const Plan&, TextStyle);
/// "tp 2 x … beats tp 4 x … with a probability of 93 % …".
std::string comparison_text(const LayoutComparison&, const std::string& other);
/// Bullets that say why the head of the queue waited and how full the KV cache was.
std::string occupancy_lines(const ServingMetrics&, TextStyle);
/// Watts of its GPUs and joules per output token, with what they rest on.
std::string energy_line(const Candidate&, TextStyle);

}  // namespace sextant::detail
