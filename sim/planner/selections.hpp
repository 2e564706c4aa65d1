#pragma once
#include <string>
#include <vector>

#include "sim/planner/sites.hpp"

namespace sextant {

/// Interchangeable GPUs of one node.
struct GpuPool {
  int node = 0, attachment = 0, sort = 0;
  std::vector<int> gpus;
};

/// How many GPUs of each pool.
using Counts = std::vector<int>;

/// Some GPUs, their pools in an order that equal nodes share: what is found for one such set holds for all of
/// its key.
struct Selection {
  std::vector<int> pools, counts;
  std::vector<std::vector<int>> key;
};

/// All GPUs of a cluster by node and sort.
std::vector<GpuPool> gpu_pools(const Cluster&, const Sites&);

/// How many ways there are to choose GPUs by pool; a double, as it may be astronomical.
double selection_count(const std::vector<GpuPool>&);

/// Every choice of GPUs by pool but the empty one, largest first.
std::vector<Counts> selections(const std::vector<GpuPool>&);

/// The choice with its pools in canonical order.
Selection canonical(const std::vector<GpuPool>&, const Counts&);

/// "4 h200-sxm + 2 l40s".
std::string describe(const Cluster&, const std::vector<GpuPool>&, const Counts&);

}  // namespace sextant
