#include <fmt/core.h>

#include "sim/planner/search.hpp"

namespace sextant {
namespace {

std::optional<std::string> obstacle(const GroupedQueryAttention& attention, const WeightFormat& format,
                                    int tp) {
  if (attention.heads % tp != 0)
    return fmt::format("{} attention heads are not divisible by {}", attention.heads, tp);
  if (attention.kv_heads % tp != 0 && tp % attention.kv_heads != 0)
    return fmt::format("{} key/value heads can neither be divided nor replicated evenly {} ways",
                       attention.kv_heads, tp);
  const std::int64_t columns = attention.heads * attention.head_dim / tp;
  if (format.group > 0 && columns % format.group != 0)
    return fmt::format("{} inputs of the output projection per GPU do not hold whole groups of {} weights",
                       columns, format.group);
  return std::nullopt;
}

std::optional<std::string> obstacle(const GatedMlp& mlp, const WeightFormat& format, int tp) {
  if (mlp.intermediate % tp != 0)
    return fmt::format("the MLP's width of {} is not divisible by {}", mlp.intermediate, tp);
  if (format.group > 0 && mlp.intermediate / tp % format.group != 0)
    return fmt::format("{} inputs of the down projection per GPU do not hold whole groups of {} weights",
                       mlp.intermediate / tp, format.group);
  return std::nullopt;
}

std::optional<std::string> obstacle(const std::monostate&, const WeightFormat&, int) {
  return std::nullopt;
}

}  // namespace

std::optional<std::string> tensor_parallel_obstacle(const ServedModel& model, int tp) {
  if (tp == 1) return std::nullopt;
  const auto check = [&](const auto& part) { return obstacle(part, model.weights, tp); };
  for (const LayerKind& kind : model.architecture.kinds) {
    if (auto reason = std::visit(check, kind.mixer)) return reason;
    if (auto reason = std::visit(check, kind.feed_forward)) return reason;
  }
  return std::nullopt;
}

}  // namespace sextant
