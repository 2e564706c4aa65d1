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

}  // namespace sextant
