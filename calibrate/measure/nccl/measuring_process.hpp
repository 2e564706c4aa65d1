#pragma once
#include "calibrate/measure/nccl/plan/launcher.hpp"
#include "calibrate/measure/nccl/plan/plan.hpp"

namespace sextant::nccl {

/// Threads and GPUs of a process: as asked, else one GPU under a launcher and otherwise a thread for every
/// visible GPU.
struct LocalShape {
  int threads = 1, gpus_per_thread = 1;
  int ranks() const { return threads * gpus_per_thread; }
};
LocalShape local_shape(const Options&, const ProcessPlace&, int visible_gpus);

/// The body of a child: measures one process of the plan in the environment it was started with, prints its
/// tables, and writes to the pipe what the parent keeps: rows, "block N" before block N, "wrong N", "cut
/// short", and "done" at the end. Returns the exit code.
int run_measuring_process(const Options&, const ProcessPlace&, const Plan&, int visible_gpus);

}  // namespace sextant::nccl
