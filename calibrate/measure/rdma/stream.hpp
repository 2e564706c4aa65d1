#pragma once
#include "calibrate/measure/rdma/plan/wire.hpp"
#include "calibrate/measure/rdma/queue_pairs.hpp"
#include "calibrate/measure/tcp/control.hpp"

namespace sextant::rdma {

/// Which part one end has in a stream.
struct StreamPart {
  bool posts = false;       ///< sends, writes or reads
  bool peer_posts = false;  ///< the other end does
};

/// Keeps every queue pair filled until the point's messages or time are over, and takes in what the other end
/// sends. Returns this end's own stream (0 messages if it posts none); without sums. Throws Error as Watch.
PointResult run_stream(QueuePairs&, tcp::Control&, const PointRequest&, StreamPart);

}  // namespace sextant::rdma
