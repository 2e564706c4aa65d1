#pragma once
#include <string>
#include <vector>

#include "calibrate/measure/tcp/control.hpp"
#include "calibrate/measure/tcp/socket.hpp"

namespace sextant::tcp {

/// What the receiver of some streams saw.
struct FloodResult {
  double gbps = 0;
  double slowest_gbps = 0, fastest_gbps = 0;  ///< tenths of the time
};

/// Sends on all streams, a thread for each, until the other end says "measured"; returns what it says. Throws
/// Error if it falls silent or goes away.
FloodResult send_flood(const std::vector<Socket>& streams, Control&, double seconds, double patience_seconds);

/// Takes in what comes on all streams, measures it over `seconds` after a tenth more, and tells the other
/// end. Throws Error if nothing comes or the other end goes away.
FloodResult receive_flood(const std::vector<Socket>& streams, Control&, double seconds);

}  // namespace sextant::tcp
