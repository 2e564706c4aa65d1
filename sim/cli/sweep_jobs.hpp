#pragma once
#include "sim/cli/command_line.hpp"
#include "sim/sweep/grid.hpp"

namespace sextant {

/// Writes the jobs that compute a grid in shards (--submit slurm or kubernetes) into the folder of --rows,
/// submits them with --start, and says how. Returns the exit code. Throws InputError.
int submit_sweep(const ParsedWords&, const SweepGrid&);

}  // namespace sextant
