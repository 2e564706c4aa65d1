#pragma once
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/hardware/cluster.hpp"

namespace sextant {

/// Something that breaks or slows down during a run.
struct Fault {
  enum class Kind { gpu_lost, gpu_slow, link_lost, link_slow, switch_lost, node_lost } kind = Kind::gpu_lost;
  double at_s = 0;
  double for_s = 0;          ///< 0: to the end
  std::string where;         ///< device or node
  std::vector<int> devices;  ///< of the cluster; a link's is the NIC whose cable it is
  double to = 1;             ///< gpu-slow, link-slow: share of clock or rate that is left
  bool active_at(double seconds) const { return seconds >= at_s && (for_s <= 0 || seconds < at_s + for_s); }
};

/// [{"at_s": 120, "what": "gpu-lost", "where": "node-a/gpu0", "for_s": 60}, {"at_s": 30, "what": "link-slow",
/// "where": "node-b/nic0", "to": 0.5}]; strict. Throws InputError.
std::vector<Fault> read_faults(const JsonValue&, const Cluster&);

/// The cluster as it is at so many seconds; without any GPU where all are gone.
Cluster cluster_at(const Cluster&, const std::vector<Fault>&, double seconds);

}  // namespace sextant
