#pragma once
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"

namespace sextant {

enum class ServingEngine { vllm, sglang };

/// The engine's own options for a layout, without model, address and nodes: "--tensor-parallel-size", "4", …
std::vector<std::string> engine_words(ServingEngine, const Scenario&, const Layout&);

/// A variable of the engine's environment with its reason.
struct EngineVariable {
  std::string name, value, reason;
};
std::vector<EngineVariable> engine_variables(ServingEngine, const Layout&);

/// What the plan takes for granted and no option says, in sentences.
std::vector<std::string> engine_notes(ServingEngine, const Scenario&, const Layout&);

}  // namespace sextant
