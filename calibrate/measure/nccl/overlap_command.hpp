#pragma once
#include <string>

#include "calibrate/measure/nccl/plan/launcher.hpp"
#include "calibrate/measure/nccl/plan/options.hpp"

namespace sextant::nccl {

/// `sextant-measure nccl --overlap`: collectives and GEMMs side by side on all GPUs of one process. `header`
/// is the file's context line. Returns the exit code.
int run_overlap(const Options&, const ProcessPlace&, int ranks, const std::string& header);

/// What it would run; needs no GPU.
int list_overlap(const Options&, int processes, int visible_gpus);

}  // namespace sextant::nccl
