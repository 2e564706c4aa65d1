#pragma once
#include "sim/planner/cost_tables.hpp"

namespace sextant {

/// Seconds from a request's arrival to its first token, on average, by the estimate of a layout that
/// estimate() has worked out with the same tables: the prompt's way through all stages and, while others
/// decode, the rest of their batch's round and their share of the prompt's passes; of a closed loop no less
/// than Little's law leaves beside the tokens' times. Infinity where an open loop asks for more than is
/// served; NaN for a layout that does not fit.
double first_token_seconds(CostTables&, const EstimatedLayout&);

}  // namespace sextant
