#pragma once
#include <string>

#include "models/base/figure.hpp"
#include "models/base/json_reader.hpp"

namespace sextant {

/// What a network does where more is sent into a port than leaves it.
enum class CongestionControl {
  none,  ///< ideal: every flow at its max-min fair share at once, no queue
  pfc,   ///< priority flow control alone: ports that cannot pass on what they get pause whoever sends to them
  ecn,   ///< DCQCN: marks slow the senders down; pauses only where marks come too late
};
std::string to_string(CongestionControl);

/// Bytes of a port's queue: in proportion to the port's rate, or the same for every port.
struct QueueBytes {
  Figure figure;
  double port_gbits = 0;  ///< the rate that the figure is of; 0: of every port
  double of(double gbits) const { return figure.value * (port_gbits > 0 ? gbits / port_gbits : 1); }
};

/// How switches queue, pause and mark, and how senders answer (models/hardware/catalogue/congestion.json).
struct Congestion {
  CongestionControl control = CongestionControl::none;
  QueueBytes buffer_bytes;           ///< that one egress may fill with packets that wait
  QueueBytes pause_threshold_bytes;  ///< of one ingress, at which it has its sender pause
  QueueBytes headroom_bytes;         ///< of one ingress, for what still arrives after the pause was sent
  QueueBytes mark_from_bytes;        ///< K_min: queue at which marking begins
  QueueBytes mark_all_bytes;         ///< K_max: queue from which every packet is marked
  Figure most_marked;                ///< P_max: share of packets marked just below K_max
  Figure raise_gbits;                ///< R_AI: by which a sender raises its rate at a time
  Figure raise_us;                   ///< T: timer between two raises
  Figure raise_bytes;                ///< B: byte counter between two raises
  Figure decay_us;                   ///< tau': timer by which a sender forgets marks
  Figure marked_efficiency;          ///< share of a port's rate that DCQCN's senders reach together
};

/// "none", "pfc" or "ecn", or {"control": "pfc", "buffer_bytes": …, "pause_threshold_bytes": …,
/// "headroom_bytes": …}, bytes then of every port whatever its rate. Throws InputError at the value; pauses
/// and marks are RoCE's: other transports take "none" only.
Congestion read_congestion(const JsonValue&, const std::string& transport);

}  // namespace sextant
