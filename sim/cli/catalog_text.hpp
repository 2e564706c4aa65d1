#pragma once
#include <string>
#include <vector>

#include "models/hardware/cluster.hpp"
#include "models/hardware/host_tree.hpp"
#include "reports/text_style.hpp"

namespace sextant {

/// The kinds that `sextant catalog` knows: models, gpus, nics, switches, nodes, profiles.
std::vector<std::string> catalog_kinds();

/// Every entry of a kind, a line each.
std::string catalog_list(const std::string& kind, TextStyle);

/// One entry with every figure, its grade, source and notes. Throws InputError naming the nearest entry.
std::string catalog_entry(const std::string& kind, const std::string& name, TextStyle);

/// What a scenario's cluster expands to: devices and links.
std::string cluster_text(const Cluster&, TextStyle);
/// {"format": "sextant cluster", "version": 1, "devices": […], "links": […], "network": {…}}
std::string cluster_json(const Cluster&);
/// The node in a file that NCCL (NCCL_TOPO_DUMP_FILE), lstopo or `sextant import topology` wrote. Throws
/// InputError.
Cluster observed_cluster(const std::string& path, const HostParts&);

}  // namespace sextant
