#pragma once
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// The cluster with those GPUs alone to lay something out on; all devices keep their place and their index,
/// so that routes and profiles of the whole cluster hold for it.
Cluster cluster_share(const Cluster&, const std::vector<int>& gpus);

}  // namespace sextant
