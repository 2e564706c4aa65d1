#pragma once
#include <string>

#include "calibrate/measure/nccl/plan/launcher.hpp"

namespace sextant::nccl {

/// Where the processes of a run meet before NCCL connects them: a file they all see, or a TCP port of the
/// first process's host.
struct MeetingPoint {
  std::string file;
  std::string host;
  int port = 0;
};

/// `file` if it is given, else MASTER_ADDR and MASTER_PORT, else a file under TMPDIR when the launcher says
/// that all processes are on one node. Throws InputError when none of them applies.
MeetingPoint meeting_point(const std::string& file, const ProcessPlace&, const Environment&);

/// Gives every process the payload of rank 0 (rank 0 passes it, the others pass anything). `generation` tells
/// meetings of one run apart. Files left by an earlier run are not taken for this one's. Throws Error after
/// `patience_seconds`.
std::string share_from_first(const MeetingPoint&, const ProcessPlace&, int generation,
                             const std::string& payload, double patience_seconds);

}  // namespace sextant::nccl
