#pragma once
#include "sim/planner/pool_estimate.hpp"

namespace sextant {

/// Every way to divide the cluster's GPUs between a pool that prefills and one that decodes, each pool with
/// the layouts that a search of its own finds best; those that carry most of the demand first, and of those
/// that carry the same the quickest. A division is settled unsearched where a bound shows that it carries no
/// more than one that is known: by memory (a pool's GPUs together cannot hold the weights), by link (all KV
/// crosses the network between the pools' nodes) or by roofline (every GPU of a pool at its best); what
/// carries all that arrives by demand, once enough of it is searched. `layouts` are decode pools with
/// `prefill` set. Throws InputError where a profile lacks an operator or the KV cannot be sent.
SearchResult search_pools(const SearchContext&, const SearchOptions& = {});

/// What the two pools of a layout carry, each by itself.
PoolRates pool_rates(const SearchContext&, const Layout& prefill, const Layout& decode);

}  // namespace sextant
