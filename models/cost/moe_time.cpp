#include <array>
#include <cmath>

#include "models/cost/operator_time.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

/// Experts of this GPU that at least one token meets, where each token takes any `topk` of all experts alike.
double experts_met(const MoeShape& shape, double tokens) {
  const double share = static_cast<double>(shape.topk) / static_cast<double>(shape.experts);
  return static_cast<double>(shape.local_experts()) * (1 - std::pow(1 - share, tokens));
}

}  // namespace

OperatorTime moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens) {
  const OperatorModel& model = moe_model(profile, shape.type);
  const auto experts = static_cast<double>(shape.experts), topk = static_cast<double>(shape.topk);
  const double met_by_tokens = tokens * topk / static_cast<double>(shape.expert_parallel);
  const double flops = 2 * met_by_tokens * shape.expert_weights();
  const double bytes = experts_met(shape, tokens) * shape.expert_weights() * model.bytes_per_weight +
                       2 * tokens * static_cast<double>(shape.hidden) * output_bytes;  // inputs and outputs
  const std::array coordinates = {
      tokens * topk / experts, static_cast<double>(shape.local_experts()),
      static_cast<double>(shape.intermediate) / static_cast<double>(shape.tensor_parallel)};
  return operator_time(model, roofline_work(model.roofline, flops, bytes), coordinates);
}

}  // namespace sextant
