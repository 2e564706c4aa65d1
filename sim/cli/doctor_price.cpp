#include "sim/cli/doctor_price.hpp"

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// The layout as a scenario's "deployment".
std::string deployment_text(const Cluster& cluster, const Layout& layout) {
  nlohmann::ordered_json json = {{"tp", layout.tp}, {"pp", layout.pp}, {"dp", layout.dp}};
  if (layout.ep > 1) json["ep"] = layout.ep;
  for (const StagePlacement& stage : layout.replicas.front())
    json["layers"].push_back(stage.layers.end - stage.layers.begin);
  for (const auto& replica : layout.replicas)
    for (const StagePlacement& stage : replica)
      for (const int gpu : stage.gpus)
        json["placement"].push_back(cluster.devices[static_cast<std::size_t>(gpu)].name);
  return json.dump();
}

}  // namespace

Pricer::Pricer(const ScenarioInput& input, PlanOptions options)
    : document_(input.document), seed_(input.scenario.workload.seed), options_(std::move(options)) {
  options_.intervals = false;
  options_.seed = seed_;
  const Candidate best = make_plan(input.scenario, options_).candidates.front();
  base_ = best.metrics.output_throughput;
  layout_ = best.layout.describe();
  if (!input.scenario.prefill)
    document_ =
        with_changes(document_, {{"deployment", deployment_text(input.scenario.cluster, best.layout)}});
}

FaultPrice Pricer::price(const std::vector<ScenarioChange>& changes) {
  const auto known = known_.find(changes);
  if (known != known_.end()) return known->second;
  FaultPrice price;
  try {
    const Scenario changed = read_scenario(with_changes(document_, changes));
    price.output_throughput = make_plan(changed, options_).candidates.front().metrics.output_throughput;
  } catch (const Interrupted&) {
    throw;
  } catch (const Error& error) {
    price.why_not = error.what();
  }
  known_[changes] = price;
  return price;
}

}  // namespace sextant
