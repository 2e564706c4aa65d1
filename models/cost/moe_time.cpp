#include <algorithm>

#include "models/cost/expert_parallel.hpp"
#include "models/cost/operator_time.hpp"

namespace sextant {

OperatorTime moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens,
                      const std::string& routing) {
  const OperatorModel& model = moe_model(profile, shape.type, routing);
  return operator_time(model, moe_work(shape, routing, model.bytes_per_weight, tokens));
}

// Routing is taken as skewed: real routers send tokens to few experts more than to others.
OperatorTime moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens) {
  return moe_time(profile, shape, tokens, skewed_routing);
}

OperatorTime moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens,
                      const RoutingRule& rule) {
  const OperatorModel& model = moe_model(profile, shape.type, skewed_routing);
  // Few token-expert pairs are drawn between 0.01 and 2 there instead.
  constexpr double few_pairs_ratio = 200;
  const bool few = tokens * static_cast<double>(shape.topk) <= static_cast<double>(shape.experts);
  const double largest = few ? few_pairs_ratio : std::max(1.0, rule.largest_share.value * tokens);
  const double fullest = fullest_rank(shape.experts, shape.expert_parallel, rule.exponent.value, largest);
  OperatorTime time =
      operator_time(model, moe_work(shape, skewed_routing, model.bytes_per_weight, tokens, fullest));
  if (shape.expert_parallel <= 1) return time;
  const Spread spread = spread_of(rule.time);
  time.seconds *= rule.time.figure.value;
  time.grade = weakest(time.grade, rule.time.figure.grade);
  time.spread = {std::min(time.spread.low, spread.low), std::max(time.spread.high, spread.high)};
  return time;
}

OperatorTime divided_moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens,
                              const RoutingRule& rule) {
  const OperatorModel& model = moe_model(profile, shape.type, skewed_routing);
  const double fullest = fullest_rank_by_chance(shape.experts, shape.topk, shape.expert_parallel, tokens);
  OperatorTime time =
      operator_time(model, moe_work(shape, skewed_routing, model.bytes_per_weight, tokens, fullest));
  const OperatorTime skewed = moe_time(profile, shape, tokens, rule);
  time.spread.high = std::max(time.spread.high, skewed.seconds / time.seconds * time.spread.high);
  time.grade = weakest(time.grade, rule.exponent.grade);
  return time;
}

}  // namespace sextant
