#pragma once
#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "sim/sweep/grid.hpp"
#include "sim/sweep/shard.hpp"
#include "sim/sweep/shard_file.hpp"

namespace sextant {

struct SweepOptions {
  int threads = 0;  ///< 0: as many as there are cores
  const std::atomic<bool>* stop = nullptr;
  std::function<void(std::uint64_t done, std::uint64_t total)>
      progress;  ///< may be called from several threads
};

/// Computes every point over threads and returns the rows in order of points; threads change nothing in them.
/// Throws Interrupted if stopped.
std::vector<std::string> run_sweep(const SweepGrid&, const SweepOptions& = {});

/// Computes the points that the file does not have and appends them as they come.
void run_shard(const SweepGrid&, const Shard&, ShardFile&, const SweepOptions& = {});

}  // namespace sextant
