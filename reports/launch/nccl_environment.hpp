#pragma once
#include <optional>
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"

namespace sextant {

/// What stands behind a recommendation. measured: somebody's figure on hardware; modelled: our fabric's model
/// or NCCL's tables; claimed: a source says so, nothing here confirms it; contradicted: a source says
/// otherwise and measurement or model decide against it.
enum class NcclSupport { measured, modelled, claimed, contradicted };
std::string to_string(NcclSupport);

/// One variable of NCCL's environment for a scenario.
struct NcclVariable {
  std::string name;
  std::optional<std::string>
      value;  ///< nullopt: not to be set (`reason` says why), or only known on the machine
  std::string
      look_up;  ///< how to find or confirm the value on each machine; empty: the value holds everywhere
  std::string reason;
  NcclSupport support = NcclSupport::claimed;
  std::string evidence;  ///< the figures, with their source; may be empty
  std::string source;    ///< who recommends it

  /// Has to be set, but each machine must say to what.
  bool must_be_filled_in() const { return !value && !look_up.empty(); }
};

/// The environment for a scenario in the given layout; variables that should be left to NCCL are listed with
/// the reason. Facts and claims: calibrate/doctor/catalogue/nccl-variables.json.
std::vector<NcclVariable> nccl_environment(const Scenario&, const Candidate&);

/// A shell script to source before the engine: exports, each under its reason; what is left to NCCL as
/// comments; what each machine must say stops the script until it is set.
std::string nccl_environment_script(const std::string& scenario_name, const std::vector<NcclVariable>&);

}  // namespace sextant
