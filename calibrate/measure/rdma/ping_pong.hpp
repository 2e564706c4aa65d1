#pragma once
#include <vector>

#include "calibrate/measure/rdma/plan/wire.hpp"
#include "calibrate/measure/rdma/queue_pairs.hpp"
#include "calibrate/measure/tcp/control.hpp"

namespace sextant::rdma {

/// Sends a message to and fro (for read: reads again and again) until the point's messages or time are over.
/// Returns us of each, one way: half the round trip, for read the whole. Throws Error as Watch.
std::vector<double> ping(QueuePairs&, tcp::Control&, const PointRequest&);
/// The other end: answers every message until the first end says that it has sent all.
void pong(QueuePairs&, tcp::Control&, const PointRequest&);

/// Whether single messages arrive at all: 2 B, then one of a whole MTU. Throws Error that tells the two
/// apart. The other end calls take_probes when it is told.
void probe(QueuePairs&, tcp::Control&);
void take_probes(QueuePairs&, tcp::Control&);

}  // namespace sextant::rdma
