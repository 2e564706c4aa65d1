#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/doctor/finding.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {

/// What a scenario yields with the fabric as found.
struct FaultPrice {
  std::optional<double> output_throughput;  ///< tokens/s; nullopt: it could not be simulated
  std::string why_not;
};

/// Simulates a scenario in the layout that is best for the fabric as it should be, and in the same layout
/// with changes.
class Pricer {
 public:
  /// Plans the scenario. Throws what make_plan throws.
  Pricer(const ScenarioInput&, PlanOptions);
  double base() const { return base_; }
  const std::string& layout() const { return layout_; }
  /// Equal changes are simulated once.
  FaultPrice price(const std::vector<ScenarioChange>&);

 private:
  JsonValue document_;  ///< with the layout fixed
  std::uint64_t seed_;
  PlanOptions options_;
  double base_ = 0;
  std::string layout_;
  std::map<std::vector<ScenarioChange>, FaultPrice> known_;
};

}  // namespace sextant
