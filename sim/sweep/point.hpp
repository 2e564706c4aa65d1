#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <string>

#include "models/profile/gpu_profile.hpp"
#include "sim/sweep/grid.hpp"

namespace sextant {

/// The GPU profiles that the points of a sweep have in common, each read once. Safe to use from several
/// threads.
class SharedProfiles {
 public:
  GpuProfile find(const std::string& gpu);

 private:
  std::mutex mutex_;
  std::map<std::string, GpuProfile> profiles_;
};

/// Plans (deployment "search") or simulates (a fixed one) a point and returns its row, one line of JSON
/// without the line end: point, values, status ("ok", "no plan": nothing fits or serves, "refused": the
/// values do not make a scenario), reason, and of the best candidate layout and headline metrics. A pure
/// function of grid and point. Throws Interrupted if stopped.
std::string run_point(const SweepGrid&, std::uint64_t point, SharedProfiles&, const std::atomic<bool>* stop);

}  // namespace sextant
