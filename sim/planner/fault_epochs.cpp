#include "sim/planner/fault_epochs.hpp"

#include <algorithm>
#include <set>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// The stages on the GPUs of the same names; nullopt where one is gone.
std::optional<std::vector<StagePlacement>> same_gpus(const Cluster& whole, const Cluster& now,
                                                     std::vector<StagePlacement> stages) {
  for (StagePlacement& stage : stages)
    for (int& gpu : stage.gpus) {
      const std::string& name = whole.devices[static_cast<std::size_t>(gpu)].name;
      const auto found = std::find_if(now.devices.begin(), now.devices.end(),
                                      [&](const Device& device) { return device.name == name; });
      if (found == now.devices.end()) return std::nullopt;
      gpu = static_cast<int>(found - now.devices.begin());
    }
  return stages;
}

}  // namespace

std::vector<FaultEpoch> fault_epochs(const Scenario& scenario, const GpuProfileFinder& find_profile) {
  std::set<double> instants;
  for (const Fault& fault : scenario.faults) {
    instants.insert(fault.at_s);
    if (fault.for_s > 0) instants.insert(fault.at_s + fault.for_s);
  }
  std::vector<FaultEpoch> epochs;
  for (const double instant : instants) {
    const Cluster cluster = cluster_at(scenario.cluster, scenario.faults, instant);
    epochs.push_back({Time::seconds(instant), nullptr});
    if (!cluster.gpus().empty())
      epochs.back().machine =
          std::make_shared<const Machine>(cluster, scenario.engine.profile, find_profile, true);
  }
  return epochs;
}

std::vector<ReplicaChange> replica_changes(const Scenario& scenario, const std::vector<FaultEpoch>& epochs,
                                           const Layout& layout, CostLevel level) {
  std::vector<ReplicaChange> changes;
  for (const FaultEpoch& epoch : epochs) {
    for (std::uint32_t r = 0; r < layout.replicas.size(); ++r) {
      ReplicaChange change{epoch.at, r, nullptr};
      if (epoch.machine != nullptr) {
        const auto stages = same_gpus(scenario.cluster, epoch.machine->cluster(), layout.replicas[r]);
        try {
          if (stages)
            change.pipeline = std::make_shared<ReplicaModel>(scenario.model, *epoch.machine, *stages,
                                                             layout.cut(*stages), level);
        } catch (const InputError&) {
          // No way between two of its GPUs: it is down.
        }
      }
      changes.push_back(std::move(change));
    }
  }
  return changes;
}

}  // namespace sextant
