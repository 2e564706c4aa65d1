#pragma once
#include <cstddef>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// The flows that meet in the queue before a link direction.
struct Meeting {
  std::size_t flows = 0;
  std::size_t ingresses = 0;  ///< links they come from
  double arriving_gbps = 0;   ///< what those links can bring, 10^9 B/s
};

/// How a port of a switch fares.
struct PortState {
  double goodput_gbps = 0;  ///< 10^9 B/s of all flows together
  double queue_bytes = 0;
  double delay_us = 0;  ///< that a packet waits in it
  bool pauses = false;  ///< stops whoever sends to it
};

/// Congestion as the flow engine applies it, in steady state: what a full port does to the flows that meet
/// there and to those behind them. Rates are bytes per nanosecond.
///  - pfc: a port that cannot pass on what it gets pauses the cables it comes by, those pause the cables
///  before
///    them, and what waits on a paused cable moves in the order it came, so that every flow on it goes at the
///    pace of the held one wherever it is bound. Each ingress has its queue filled up to the threshold.
///  - ecn: the ports of switches mark instead. The queue is where DCQCN's senders together neither gain nor
///  lose
///    (Zhu, Ghobadi, Misra, Padhye, ECN or Delay, CoNEXT 2016), and they use `marked_efficiency` of the port.
///    Where that queue exceeds the thresholds the port pauses all the same. NICs do not mark.
/// Domain: flows that last longer than queues take to fill and senders to settle (a millisecond); equal
/// shares flow by flow, where a switch shares by ingress; headroom enough, so that nothing is lost.
struct CongestionRules {
  struct Port {
    bool pausable = false;  ///< whoever sends on this direction stops when told
    bool of_switch = false;
    double buffer = 0, pause_threshold = 0, mark_from = 0, mark_all = 0;  ///< bytes
  };
  /// Bytes and nanoseconds; names as in Congestion.
  struct Senders {
    double most_marked = 1, raise_rate = 0, raise_ns = 1, raise_bytes = 1, decay_ns = 1, packet = 1;
  };

  std::vector<Port> ports;  ///< by link direction; empty: ideal sharing
  bool marks = false;
  double marked_efficiency = 1;
  Senders senders;

  bool ideal() const { return ports.empty(); }
  /// Whether more can arrive than the direction carries.
  bool congested(const Meeting& meeting, double capacity) const {
    return meeting.flows > 1 && meeting.arriving_gbps > capacity * (1 + 1e-9);
  }
  /// What flows get out of the direction together where they meet so.
  double capacity_of(std::size_t direction, const Meeting&, double capacity) const;
  /// Whether the full direction pauses the cables before it.
  bool pauses(std::size_t direction, const Meeting&, double capacity) const;
  /// Bytes that wait before the full direction.
  double queue_bytes(std::size_t direction, const Meeting&, double capacity) const;
  /// The queue at which so many senders' rates stand still, up to mark_all.
  double marked_queue_bytes(std::size_t direction, std::size_t flows, double capacity) const;
};

/// The rules of a cluster's network. Throws InputError where the headroom does not hold what arrives between
/// a pause and its effect.
CongestionRules congestion_rules(const Cluster&);

/// N senders with a cable each into one port, all of `gbits`, under a scenario's rules; `latency_us` of a
/// cable. Throws InputError as congestion_rules does.
PortState incast(const Network&, int senders, double gbits, double latency_us);

}  // namespace sextant
