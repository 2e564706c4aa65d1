#include "sim/planner/operators_used.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/cost/operator_work.hpp"
#include "models/profile/operator_rules.hpp"

namespace sextant {
namespace {

/// Collects the entries of one GPU's profile that a stage uses.
class Collector {
 public:
  explicit Collector(std::vector<OperatorUsed>& found) : found_(found) {}

  void add_stage(const StageOperators& operators, const GpuProfile& profile) {
    gpu_ = profile.gpu;
    for (const auto& [gemm, count] : operators.gemms) add(Family::gemm, "gemm", profile.gemm, gemm.type);
    for (const auto& [moe, count] : operators.moes)
      add(Family::moe, "moe", profile.moe, fmt::format("{}/{}", moe.type, skewed_routing));
    for (const auto& [attention, count] : operators.attentions) {
      const std::string key = fmt::format("{}/{}", attention.kv_type, attention.head_dim);
      add(Family::attention_prefill, "prefill attention", profile.attention_prefill, key);
      add(Family::attention_decode, "decode attention", profile.attention_decode, key);
    }
    for (const auto& [latent, count] : operators.latents) {
      const std::string key = fmt::format("{}/{}", latent.projections, latent.kv_type);
      add(Family::attention_prefill, "latent prefill attention", profile.latent_prefill, key);
      add(Family::attention_decode, "latent decode attention", profile.latent_decode, key);
    }
    if (!operators.state_spaces.empty()) add_scans(profile);
  }

 private:
  void add_scans(const GpuProfile& profile) {
    const StateSpaceRule rule = shipped_operator_rules().state_space;
    const OperatorModels scans = {{"of decodes", state_space_decode_model(profile, rule)},
                                  {"of prompts", state_space_prefill_model(profile, rule)}};
    for (const auto& [phase, scan] : scans) add(Family::state_space, "state-space scan", scans, phase);
  }

  void add(Family family, const char* label, const OperatorModels& models, const std::string& type) {
    const auto known = models.find(type);
    if (known == models.end()) return;
    const bool told = std::any_of(found_.begin(), found_.end(), [&](const OperatorUsed& used) {
      return used.label == label && used.type == type && used.gpu == gpu_;
    });
    if (told) return;
    const OperatorModel& model = known->second;
    found_.push_back({family, label, type, gpu_, model.grade, model.spread, model.source});
  }

  std::vector<OperatorUsed>& found_;
  std::string gpu_;
};

}  // namespace

std::vector<OperatorUsed> operators_used(const SearchContext& context, const Layout& layout) {
  const ServedModel& model = context.scenario.model;
  std::vector<OperatorUsed> found;
  Collector collector(found);
  for (const auto& replica : layout.replicas) {
    for (std::size_t s = 0; s < replica.size(); ++s) {
      const LayerCut cut = layout.cut(replica);
      const StageShape shape{replica[s].layers, cut.tensor_parallel, s == 0, s + 1 == replica.size(),
                             cut.expert_parallel};
      const StageOperators operators = stage_operators(model.architecture, model.weights, model.kv, shape);
      for (const int device : replica[s].gpus)
        collector.add_stage(operators, *context.machine.profile(device));
    }
  }
  return found;
}

std::vector<std::string> assumed_operators(const SearchContext& context, const Layout& layout) {
  std::vector<std::string> texts;
  for (const OperatorUsed& used : operators_used(context, layout)) {
    if (used.grade != Grade::assumed) continue;
    texts.push_back(
        fmt::format("{} {} on {} is assumed, its time between {:.2f} and {:.2f} of the one used: {}",
                    used.label, used.type, used.gpu, used.spread.low, used.spread.high,
                    used.source.substr(0, used.source.find(';'))));
  }
  return texts;
}

}  // namespace sextant
