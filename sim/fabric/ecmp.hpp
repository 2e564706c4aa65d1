#pragma once
#include <cstdint>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// One way along a full-duplex link, as an index: even from Link::from to Link::to, odd back.
inline int direction_of(int link, bool forward) {
  return 2 * link + (forward ? 0 : 1);
}

/// The way a link is taken from a device on. Precondition: the device is one of its ends.
inline int direction_from(const Cluster& cluster, int link, int device) {
  return direction_of(link, cluster.links[static_cast<std::size_t>(link)].from == device);
}

/// What switches look at when they spread flows over equal paths: the same label takes the same path.
struct FlowLabel {
  std::uint64_t seed = 0;  ///< of the switches' hash
  std::uint64_t flow = 0;  ///< stands for addresses and the UDP source port
};

/// The network between nodes: of the paths with the fewest links each switch takes one by hash, cable by
/// cable, so that flows can meet on one cable while another lies idle. NICs do not pass bytes on.
class EcmpNetwork {
 public:
  explicit EcmpNetwork(const Cluster&);

  /// Link directions from one NIC to another; empty where there is no way.
  std::vector<int> path(int from_nic, int to_nic, const FlowLabel&);
  /// Links on the way, or -1.
  int distance(int from_nic, int to_nic);

 private:
  struct Port {
    int direction = 0;
    int neighbour = 0;  ///< vertex
  };
  int vertex(int device) const { return vertex_of_[static_cast<std::size_t>(device)]; }
  const std::vector<int>& distances_to(int target);

  std::vector<int> vertex_of_;               ///< by device; -1: on no cable
  std::vector<char> passes_on_;              ///< by vertex
  std::vector<std::vector<Port>> ports_;     ///< by vertex
  std::vector<std::vector<int>> distances_;  ///< by target vertex, worked out when first asked for
};

}  // namespace sextant
