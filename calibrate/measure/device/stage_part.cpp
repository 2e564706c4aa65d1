#include <fmt/core.h>

#include "calibrate/measure/device/stage_model.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {

StagePart::StagePart(const Architecture& architecture, const StepLayout& layout, int stage, int rank) {
  if (architecture.kinds.size() != 1)
    throw Error(ExitCode::failure, fmt::format("skipped: {} mixes kinds of layers", architecture.name));
  const LayerKind& kind = architecture.kinds.front();
  const auto* attention = std::get_if<GroupedQueryAttention>(&kind.mixer);
  const auto* mlp = std::get_if<GatedMlp>(&kind.feed_forward);
  const auto* mixture = std::get_if<MixtureOfExperts>(&kind.feed_forward);
  if (attention == nullptr || (mlp == nullptr && mixture == nullptr))
    throw Error(ExitCode::failure,
                fmt::format("skipped: {} has layers of another kind than attention with an "
                            "MLP or experts",
                            architecture.name));
  const GroupedQueryAttention local = local_attention(*attention, layout.tp);
  hidden = architecture.hidden;
  if (mlp != nullptr) {
    intermediate = local_mlp(*mlp, layout.tp).intermediate;
  } else {
    take_experts(*mixture, architecture.name, layout, rank);
  }
  heads = local.heads;
  kv_heads = local.kv_heads;
  head_dim = local.head_dim;
  vocabulary = local_vocabulary(architecture, layout.tp);
  layers = stage_layers(architecture.layer_count(), layout.pp)[static_cast<std::size_t>(stage)].size();
  tp = layout.tp;
  first = stage == 0;
  last = stage == layout.pp - 1;
  qk_norm = local.qk_norm;
  fp8_weights = layout.weights == "fp8";
  fp8_kv = layout.kv == "fp8";
}

void StagePart::take_experts(const MixtureOfExperts& mixture, const std::string& model,
                             const StepLayout& layout, int rank) {
  if (mixture.shared_intermediate > 0 || mixture.router_bias || mixture.expert_bias)
    throw Error(
        ExitCode::failure,
        fmt::format("skipped: {} has a shared expert or biases, expected routed experts alone", model));
  if (layout.weights != "bf16")
    throw Error(ExitCode::failure, fmt::format("skipped: experts in {}, expected bf16", layout.weights));
  if (mixture.experts % layout.ep != 0)
    throw Error(ExitCode::failure,
                fmt::format("skipped: {} experts do not divide by ep {}", mixture.experts, layout.ep));
  const int cut = layout.ep > 1 ? 1 : layout.tp;
  if (mixture.intermediate % cut != 0)
    throw Error(ExitCode::failure, fmt::format("skipped: an expert's width of {} does not divide by tp {}",
                                               mixture.intermediate, layout.tp));
  experts = static_cast<int>(mixture.experts);
  experts_per_token = static_cast<int>(mixture.experts_per_token);
  own_experts = experts / layout.ep;
  first_expert = layout.ep > 1 ? rank * own_experts : 0;
  intermediate = mixture.intermediate / cut;
}

std::size_t StagePart::layer_bytes() const {
  const std::int64_t feed_forward =
      experts > 0 ? own_experts * 3 * intermediate + experts : 3 * intermediate;  // a router's row for each
  const std::int64_t values = hidden * (qkv_width() + heads * head_dim + feed_forward);
  return static_cast<std::size_t>(values) * (fp8_weights ? 1 : 2);
}

std::size_t StagePart::vocabulary_bytes() const {
  return static_cast<std::size_t>(vocabulary * hidden) * 2 *
         (static_cast<std::size_t>(first) + static_cast<std::size_t>(last));
}

std::size_t StagePart::kv_bytes(std::int64_t tokens) const {
  return static_cast<std::size_t>(2 * pages_of(tokens) * page_tokens * kv_heads * head_dim) *
         (fp8_kv ? 1 : 2);
}

}  // namespace sextant::measure
