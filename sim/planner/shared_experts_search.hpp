#pragma once
#include <map>

#include "sim/planner/search.hpp"

namespace sextant {

/// Whether a search may let data-parallel ranks share experts: the model has some, and nothing is asked for
/// that ranks in lock step are not simulated with (faults, speculation, prefill and decode apart).
bool may_share_experts(const SearchContext&);

/// Every layout in which equal servers of data-parallel ranks share experts: pp 1, each server on equal GPUs
/// of one node, taken in their order. Of each tp x ep and kind of GPU every number of servers is estimated;
/// of many servers the best number, doublings and the largest are results. Nothing where may_share_experts is
/// false.
SearchResult search_shared_experts(const SearchContext&, const SearchOptions& = {});

/// Output tokens/s of each GPU (device index) that no such layout exceeds by the estimate, exchange being
/// free; a GPU without one is in none.
std::map<int, double> sharing_speeds(const SearchContext&);

/// The same of the whole cluster, demand and latency of a round included.
double sharing_bound(const SearchContext&);

}  // namespace sextant
