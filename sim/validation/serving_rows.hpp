#pragma once
#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "models/profile/measurement.hpp"
#include "sim/validation/comparison.hpp"
#include "sim/validation/profile_store.hpp"

namespace sextant {

struct ServingRunOptions {
  bool intervals = true;
  int threads = 0;  ///< of the runs that an interval takes; 0: as many as there are cores
  const std::atomic<bool>* stop = nullptr;
};

/// A simulated run beside a measured one.
struct PredictedRun {
  std::string gpu;                         ///< of the scenario's cluster
  std::string scenario;                    ///< its name
  std::map<std::string, Outcome> metrics;  ///< one for each metric that was asked for
};

/// Runs the scenario of a serving or requests row as `sextant simulate` does and reads off the metrics asked
/// for: named_metrics, duration and total_kv_blocks (of one replica, as vLLM logs it). What no run can tell
/// is not predicted: percentiles other than the median, 90 and 99 of a latency, every metric of a model or
/// format that is not known yet. `where` is the row, "file:line"; a scenario that is a path stands relative
/// to the file's folder. Throws InputError for a scenario that cannot be read, one to be searched, and an
/// unknown metric.
PredictedRun predict_run(const std::string& scenario, const std::string& where,
                         const std::vector<std::string>& metrics, ProfileStore&, const ServingRunOptions&);

/// `path` relative to the folder of the file.
std::string beside(const std::string& file, const std::string& path);

}  // namespace sextant
