#pragma once
#include "sim/planner/purchase.hpp"

namespace sextant {

/// Adds the 90 % intervals of every model on the best purchase, and for each alternative and model how sure
/// it is that the best serves it better. The same requests everywhere; errors of one operator family are
/// shared as far as the purchases rest on the same profiles (comparison.hpp).
void add_uncertainty(const PurchaseQuestion&, PurchasePlan&, const PlanOptions&);

}  // namespace sextant
