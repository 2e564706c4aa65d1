#pragma once
#include <memory>
#include <vector>

#include "sim/scenario/scenario.hpp"
#include "sim/serving/faults.hpp"

namespace sextant {

/// The machine room from an instant on, until the next epoch.
struct FaultEpoch {
  Time at;
  std::shared_ptr<const Machine> machine;  ///< null: no GPU is left
};

/// One epoch for each instant at which a fault strikes or ends. Reads profiles; called once a plan.
std::vector<FaultEpoch> fault_epochs(const Scenario&, const GpuProfileFinder&);

/// What the epochs do to each replica of a layout: down where a GPU of it is gone or two of its GPUs reach
/// each other no more, else up with the times of that machine room.
std::vector<ReplicaChange> replica_changes(const Scenario&, const std::vector<FaultEpoch>&, const Layout&,
                                           CostLevel);

}  // namespace sextant
