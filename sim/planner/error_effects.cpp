#include <fmt/core.h>

#include <algorithm>

#include "sim/planner/choices.hpp"
#include "sim/planner/comparison.hpp"

namespace sextant {
namespace {

/// Families that sextant-measure times format by format.
bool told_by_format(Family family) {
  return family == Family::gemm || family == Family::moe || family == Family::attention_decode;
}

/// What a GPU's times of a kernel rest on: its own; of a card scaled from another also that one's, and the
/// rule, whose errors all cards scaled from it have in common.
class KernelSources {
 public:
  explicit KernelSources(const SearchContext& context) {
    for (const int device : context.scenario.cluster.gpus())
      if (const GpuProfile& profile = *context.machine.profile(device); !profile.scaled_from.empty())
        scaled_from_[profile.gpu] = profile.scaled_from;
  }

  void add(std::set<std::string>& sources, const std::string& gpu, const std::string& kernel) const {
    sources.insert(fmt::format("{} {}", gpu, kernel));
    const auto parent = scaled_from_.find(gpu);
    if (parent == scaled_from_.end()) return;
    sources.insert({fmt::format("{} {}", parent->second, kernel),
                    fmt::format("cards scaled from {}: {}", parent->second, kernel)});
  }

 private:
  std::map<std::string, std::string> scaled_from_;
};

/// What the times of each family rest on, as "gpu kernel/format" where sextant-measure knows that kernel.
std::map<std::string, std::set<std::string>> sources_of(const SearchContext& context,
                                                        const Candidate& candidate) {
  const Scenario& scenario = context.scenario;
  const Layout& layout = candidate.layout;
  const KernelSources kernels(context);
  std::map<std::string, std::set<std::string>> sources;
  for (const OperatorUsed& used : operators_used(context, layout)) {
    const std::string family = to_string(used.family), format = used.type.substr(0, used.type.find('/'));
    kernels.add(sources[family], used.gpu, told_by_format(used.family) ? family + "/" + format : family);
  }
  std::set<std::string>& everywhere = sources["what no operator covers"];
  everywhere = {scenario.engine.profile, fmt::format("tp {} x pp {}", layout.tp, layout.pp),
                fmt::format("weights {}, kv {}", scenario.model.weights.name, scenario.model.kv.name)};
  sources[to_string(Family::host)] = {scenario.engine.profile};
  for (const auto& replica : layout.replicas)
    for (const StagePlacement& stage : replica) {
      for (const int device : stage.gpus) {
        const std::string& gpu = context.machine.profile(device)->gpu;
        kernels.add(sources[to_string(Family::elementwise)], gpu, "elementwise");
        everywhere.insert(gpu);
      }
      const auto exchanges = [&](const std::vector<int>& gpus) {
        if (gpus.size() < 2) return;
        const std::string link = context.machine.group_link(gpus).name;
        sources[to_string(Family::collective)].insert(
            {link, fmt::format("{} of {} ranks", link, gpus.size())});
      };
      if (layout.tp > 1) exchanges(stage.gpus);
      exchanges(stage.expert_gpus);
    }
  for (const StageReport& stage : candidate.stages)
    if (!stage.hop.empty()) sources[to_string(Family::point_to_point)].insert(stage.hop);
  return sources;
}

std::map<std::string, double> by_name(const std::vector<std::pair<std::string, double>>& metrics) {
  return {metrics.begin(), metrics.end()};
}

std::string name_of(const Candidate& candidate) {
  return candidate.layout.describe() +
         (candidate.choice_name.empty() ? "" : fmt::format(" ({})", candidate.choice_name));
}

/// Cost and energy per token go as one over the tokens: the watts are held.
void add_figure(const std::string& figure, double nominal_figure, double nominal_rate, double rate,
                std::map<std::string, double>& metrics) {
  if (rate > 0 && !metrics.contains(figure)) metrics[figure] = nominal_figure * nominal_rate / rate;
}

}  // namespace

ErrorEffects error_effects(const SearchContext& context, const Candidate& candidate, Objective objective,
                           const PerturbedRuns& runs, const PlanOptions& options) {
  const std::vector<Perturbation> perturbations = family_perturbations(scans_states(candidate));
  const auto sources = sources_of(context, candidate);
  const ObjectiveFigure figure = objective_figure(objective, candidate);
  const char* rate = candidate.load ? "highest_load" : "output_throughput";

  ErrorEffects effects;
  effects.name = name_of(candidate);
  effects.sound = candidate.startable && candidate.metrics.rejected == 0;
  effects.nominal = by_name(named_metrics(candidate.metrics));
  std::vector<double> loads;
  if (candidate.load) loads = perturbed_loads(context, candidate, perturbations, options);
  if (figure.value) effects.nominal[figure.name] = *figure.value;
  if (candidate.load) effects.nominal["highest_load"] = loads.back();
  for (std::size_t f = 0; f < perturbations.size(); ++f) {
    FamilyEffect family{
        perturbations[f].family, {}, by_name(runs.metrics[2 * f]), by_name(runs.metrics[2 * f + 1])};
    if (const auto known = sources.find(family.family); known != sources.end())
      family.sources = known->second;
    if (candidate.load) {
      family.slow["highest_load"] = loads[2 * f];
      family.fast["highest_load"] = loads[2 * f + 1];
    }
    for (auto* end : {&family.slow, &family.fast})
      if (figure.value) add_figure(figure.name, *figure.value, effects.nominal[rate], (*end)[rate], *end);
    effects.families.push_back(std::move(family));
  }
  return effects;
}

ErrorEffects plan_effects(const Scenario& scenario, const Candidate& candidate, Objective objective,
                          const PlanOptions& options) {
  Scenario answered = answered_scenario(scenario, candidate);
  load_trace(answered.workload);
  const Machine machine(answered.cluster, answered.engine.profile, options.find_profile);
  const SearchContext context{answered, machine, summarise_workload(answered.workload)};
  return error_effects(
      context, candidate, objective,
      perturbed_runs(context, candidate.layout, scans_states(candidate), options, prefill_layout(candidate)),
      options);
}

}  // namespace sextant
