#include <fmt/core.h>

#include <algorithm>
#include <type_traits>

#include "models/llm/layer_parts.hpp"
#include "sim/planner/search.hpp"

namespace sextant {
namespace {

/// Weights of one part of `model` that share a scale along the input; 0: none.
std::int64_t scale_group(const ServedModel& model, Part part) {
  const WeightFormat* stored = part_format(model.architecture, model.weights, part);
  return stored ? stored->group : 0;
}

std::optional<std::string> obstacle(const GroupedQueryAttention& attention, const ServedModel& model,
                                    int tp) {
  if (attention.heads % tp != 0)
    return fmt::format("{} attention heads are not divisible by {}", attention.heads, tp);
  if (attention.kv_heads % tp != 0 && tp % attention.kv_heads != 0)
    return fmt::format("{} key/value heads can neither be divided nor replicated evenly {} ways",
                       attention.kv_heads, tp);
  const std::int64_t columns = attention.heads * attention.head_dim / tp;
  const std::int64_t group = scale_group(model, Part::attention);
  if (group > 0 && columns % group != 0)
    return fmt::format("{} inputs of the output projection per GPU do not hold whole groups of {} weights",
                       columns, group);
  return std::nullopt;
}

std::optional<std::string> obstacle(const LatentAttention& attention, const ServedModel& model, int tp) {
  if (attention.heads % tp != 0)
    return fmt::format("{} attention heads are not divisible by {}", attention.heads, tp);
  const std::int64_t columns = attention.heads * attention.value_dim / tp;
  const std::int64_t group = scale_group(model, Part::attention);
  if (group > 0 && columns % group != 0)
    return fmt::format("{} inputs of the output projection per GPU do not hold whole groups of {} weights",
                       columns, group);
  return std::nullopt;
}

std::optional<std::string> obstacle(const Mamba2& mamba, const ServedModel& model, int tp) {
  if (mamba.heads % tp != 0)
    return fmt::format("{} heads of the state-space mixer are not divisible by {}", mamba.heads, tp);
  if (mamba.groups % tp != 0 && tp % mamba.groups != 0)
    return fmt::format(
        "{} groups of the state-space mixer can neither be divided nor replicated evenly {} ways",
        mamba.groups, tp);
  const std::int64_t group = scale_group(model, Part::mamba);
  if (group > 0 && mamba.inner() / tp % group != 0)
    return fmt::format(
        "{} inputs of the state-space mixer's output projection per GPU do not hold whole groups "
        "of {} weights",
        mamba.inner() / tp, group);
  return std::nullopt;
}

std::optional<std::string> obstacle(const SquareMatrix&, const ServedModel& model, int tp) {
  if (model.architecture.hidden % tp != 0)
    return fmt::format("the hidden size of {} is not divisible by {}", model.architecture.hidden, tp);
  return std::nullopt;
}

/// An MLP of that width, called `what`.
std::optional<std::string> width_obstacle(const char* what, std::int64_t width, std::int64_t group, int tp) {
  if (width % tp != 0) return fmt::format("{}'s width of {} is not divisible by {}", what, width, tp);
  if (group > 0 && width / tp % group != 0)
    return fmt::format("{} inputs of the down projection per GPU do not hold whole groups of {} weights",
                       width / tp, group);
  return std::nullopt;
}

std::optional<std::string> obstacle(const GatedMlp& mlp, const ServedModel& model, int tp) {
  return width_obstacle("the MLP", mlp.intermediate, scale_group(model, Part::mlp), tp);
}

std::optional<std::string> obstacle(const PlainMlp& mlp, const ServedModel& model, int tp) {
  return width_obstacle("the MLP", mlp.intermediate, scale_group(model, Part::mlp), tp);
}

std::optional<std::string> obstacle(const MixtureOfExperts& moe, const ServedModel& model, int tp, int ep) {
  if (moe.experts % ep != 0) return fmt::format("{} experts are not divisible by ep {}", moe.experts, ep);
  const std::int64_t group = model.weights.pads_experts ? 0 : scale_group(model, Part::experts);
  if (ep == 1)
    if (auto reason = width_obstacle("an expert", moe.intermediate, group, tp)) return reason;
  return width_obstacle("the shared expert", moe.shared_intermediate, scale_group(model, Part::shared_expert),
                        tp);
}

std::optional<std::string> obstacle(const std::monostate&, const ServedModel&, int) {
  return std::nullopt;
}

bool has_experts(const Architecture& architecture) {
  return std::any_of(architecture.kinds.begin(), architecture.kinds.end(), [](const LayerKind& kind) {
    return std::holds_alternative<MixtureOfExperts>(kind.feed_forward);
  });
}

}  // namespace

std::optional<std::string> tensor_parallel_obstacle(const ServedModel& model, int tp) {
  return cut_obstacle(model, {tp, 1});
}

std::optional<std::string> cut_obstacle(const ServedModel& model, LayerCut cut) {
  const auto tp = static_cast<int>(cut.tensor_parallel), ep = static_cast<int>(cut.expert_parallel);
  if (tp == 1 && ep == 1) return std::nullopt;
  if (ep != 1 && ep != tp && !cut.shares_experts())
    return fmt::format("ep {} is neither 1 nor tp, which is {}", ep, tp);
  if (ep > 1 && !has_experts(model.architecture)) return "the model has no experts to divide";
  const auto check = [&]<class PartOfLayer>(const PartOfLayer& part) {
    if constexpr (std::is_same_v<PartOfLayer, MixtureOfExperts>)
      return obstacle(part, model, tp, ep);
    else
      return obstacle(part, model, tp);
  };
  for (const LayerKind& kind : model.architecture.kinds) {
    if (auto reason = std::visit(check, kind.mixer)) return reason;
    if (auto reason = std::visit(check, kind.feed_forward)) return reason;
  }
  return std::nullopt;
}

std::vector<int> expert_degrees(const ServedModel& model, int tp) {
  if (tp == 1 || !has_experts(model.architecture)) return {1};
  return {1, tp};
}

}  // namespace sextant
