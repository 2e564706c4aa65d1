#pragma once
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "models/hardware/cluster.hpp"

namespace sextant {

/// How a cluster hangs on the world outside, and how soon it must have its data.
struct Uplink {
  double management_gbits = 0;  ///< of each node's port on the management network
  double store_gbits = 0;       ///< what the store sends in all; 0: more than the nodes can take
  double connection_gbits = 0;  ///< what one TCP connection reaches by itself; 0: its port
  int connections = 8;          ///< of a loader that opens several, per NIC or port
  double within_seconds = 0;    ///< loading must take no longer; 0: not said
};

/// {"management_gbits": 25, "store_gbits": 100, "connection_gbits": 20, "connections": 8, "within_seconds":
/// 60}; strict. Throws InputError.
Uplink read_uplink(const JsonValue&);

/// One errand over one network.
struct UplinkTime {
  std::string errand;                   ///< "weights to one node"
  std::string network;                  ///< "management", "data"
  double bytes = 0;                     ///< to or from all nodes together
  double one_connection_seconds = 0;    ///< each node uses one
  double many_connections_seconds = 0;  ///< each node uses as many as the loader opens, on all its NICs
};

/// How long the errands of a deployment take: weights to one node and to every node, a checkpoint from one
/// node (weights and as much again of optimiser state, as a fine-tuning run writes it), and a cold start:
/// weights to every node and from its memory to its GPUs. Flows from or to one store share its line and the
/// nodes' ports max-min fairly; one connection takes one NIC. TCP's headers are counted.
std::vector<UplinkTime> uplink_times(const Cluster&, const Uplink&, double weight_bytes);

/// Gbit/s that bring so many bytes in so many seconds, TCP's headers included.
double needed_gbits(double bytes, double seconds, int mtu);

/// The least of the usual Ethernet rates (1 to 800 Gbit/s) that is enough; 0 if none is.
double usual_gbits(double needed);

}  // namespace sextant
