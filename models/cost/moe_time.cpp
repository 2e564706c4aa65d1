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

namespace {

/// The fullest GPU's load by the rule's power law, over its equal share.
double fullest_by_rule(const MoeShape& shape, double tokens, const RoutingRule& rule) {
  // Few token-expert pairs are drawn between 0.01 and 2 there instead.
  constexpr double few_pairs_ratio = 200;
  const bool few = tokens * static_cast<double>(shape.topk) <= static_cast<double>(shape.experts);
  const double largest = few ? few_pairs_ratio : std::max(1.0, rule.largest_share.value * tokens);
  return fullest_rank(shape.experts, shape.expert_parallel, rule.exponent.value, largest);
}

/// The kernel where experts are divided: as fitted to balanced rows, which are of one and of several GPUs
/// (some kernels work on all of a token's pairs wherever their experts are). Skewed rows are fitted of one
/// GPU only; they stand in where a profile has no balanced ones.
const OperatorModel& divided_model(const GpuProfile& profile, const std::string& type) {
  const bool balanced = profile.moe.contains(type + "/" + balanced_routing);
  return moe_model(profile, type, balanced ? balanced_routing : skewed_routing);
}

}  // namespace

OperatorTime moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens,
                      const RoutingRule& rule) {
  const OperatorModel& model = moe_model(profile, shape.type, skewed_routing);
  const double fullest = fullest_by_rule(shape, tokens, rule);
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
  const OperatorModel& model = divided_model(profile, shape.type);
  const auto time_of = [&](double fullest) {
    return operator_time(model, moe_work(shape, skewed_routing, model.bytes_per_weight, tokens, fullest));
  };
  OperatorTime time =
      time_of(fullest_rank_by_chance(shape.experts, shape.topk, shape.expert_parallel, tokens));
  const double skewed = time_of(fullest_by_rule(shape, tokens, rule)).seconds;
  time.spread.high *= std::max(1.0, skewed / time.seconds);
  time.grade = weakest(time.grade, rule.exponent.grade);
  return time;
}

}  // namespace sextant
