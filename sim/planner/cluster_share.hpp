#pragma once
#include <vector>

#include "models/hardware/cluster.hpp"
#include "sim/serving/layout.hpp"

namespace sextant {

/// The cluster with those GPUs alone to lay something out on; all devices keep their place and their index,
/// so that routes and profiles of the whole cluster hold for it.
Cluster cluster_share(const Cluster&, const std::vector<int>& gpus);

/// The layout on other GPUs: in place of each of `from` the one of `to` at its place.
Layout moved(Layout, const std::vector<int>& from, const std::vector<int>& to);

}  // namespace sextant
