#pragma once
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace sextant {

/// One model of a mix: what is asked of it, on the whole cluster.
struct MixModel {
  std::string name;
  Scenario scenario;     ///< of this model alone, at its own load, to be searched
  Scenario growing;      ///< the same with the highest load looked for
  std::string document;  ///< the scenario as JSON
  double load = 0;       ///< requests/s, or requests at once of a closed loop
  bool closed = false;   ///< a closed loop
};

/// Several models that one fixed cluster serves at the same time, each on GPUs of its own.
struct MixQuestion {
  std::string name, description;
  std::vector<MixModel> models;
};

/// Whether the document asks for several models on a cluster that is there: "models" without "choose-from".
bool asks_for_mix(const JsonValue& document);

/// Reads such a scenario; strict (scenarios/README.md has the keys). Throws InputError, also for fewer than
/// two models, two of one name, more models than GPUs, a model without an SLO, and a load that cannot be
/// multiplied (all at once, a trace, stages, "highest").
MixQuestion read_mix_question(const JsonValue& document);

}  // namespace sextant
