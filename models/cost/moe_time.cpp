#include "models/cost/operator_time.hpp"

namespace sextant {

// Routing is taken as skewed: real routers send tokens to few experts more than to others.
OperatorTime moe_time(const GpuProfile& profile, const MoeShape& shape, double tokens) {
  const OperatorModel& model = moe_model(profile, shape.type, skewed_routing);
  return operator_time(model, moe_work(shape, skewed_routing, model.bytes_per_weight, tokens));
}

}  // namespace sextant
