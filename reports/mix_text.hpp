#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"
#include "sim/planner/mix.hpp"

namespace sextant {

/// Which model gets which GPUs and how it serves on them, why, and what the next divisions give; for a
/// person. Fits style.width columns; plain ASCII tables.
std::string mix_text(const MixQuestion&, const MixPlan&, TextStyle = {});

/// {"format": "sextant mix", "version": 1, …} (reports/JSON.md), with a plan for each model, which `sextant
/// export` launches. Numbers are finite; what is not is null. `command` gives the same result again.
std::string mix_json(const MixQuestion&, const MixPlan&, const std::string& command = "");

/// One row for each simulated division and model, best division first, with a header (RFC 4180).
std::string mix_csv(const MixQuestion&, const MixPlan&);

/// Models and their loads in a sentence each.
std::vector<std::string> mix_question_lines(const MixQuestion&, const MixPlan&);

}  // namespace sextant
