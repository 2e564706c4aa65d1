#pragma once
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/scenario/scenario.hpp"

namespace sextant {

/// Whether the SLO holds at a load, as far as the replications tell.
enum class LoadVerdict { sustained, not_sustained, indeterminate };
std::string to_string(LoadVerdict);

/// A bounded metric over the replications of a probe: its mean and the 95 % confidence interval of that mean.
struct MetricEstimate {
  ServiceLevel level;
  double mean = 0, low = 0, high = 0;
  LoadVerdict verdict = LoadVerdict::indeterminate;
};

/// One load that was tried.
struct LoadProbe {
  double load = 0;
  LoadVerdict verdict = LoadVerdict::indeterminate;
  int replications = 0;
  std::vector<MetricEstimate>
      metrics;          ///< of each bound, in the SLO's order; empty where a run decided alone
  std::string stopped;  ///< why no more replications were run
};

/// The highest load of one layout, with every probe.
struct LoadSearch {
  std::string unit;                          ///< "requests/s" or "requests at once"
  double highest = 0;                        ///< the highest load that is sustained; 0: none of those tried
  std::optional<double> fails_at;            ///< the lowest that is not sustained
  std::optional<double> indeterminate_from;  ///< the lowest at which the replications do not tell
  std::vector<LoadProbe> probes;             ///< in the order in which they were tried
  std::string stopped;                       ///< why the search ended
  bool gave_up = false;                      ///< it ended where it could no longer be the best
};

/// One run of the workload at a load: its metrics. Called from several threads.
using RunAtLoad = std::function<ServingMetrics(double load, std::uint64_t replication)>;

struct LoadSearchOptions {
  bool whole_numbers = false;  ///< loads are numbers of requests
  int fewest_replications = 3, most_replications = 12;
  double most = HUGE_VAL;   ///< no load above it is tried
  double tolerance = 0.02;  ///< the search ends when what fails is within this share of what holds
  int threads = 1;
};

/// The probe of one load. Replications are added until the 95 % interval of every bounded metric lies on one
/// side of its bound (held), or that of one wholly beyond it (not held), or there are `most_replications`
/// (indeterminate). Intervals are Student's t over the replications; for goodput_fraction the wider end of
/// that and Wilson's binomial interval over all requests, either way. A first run that is overloaded or
/// rejects requests decides alone. The intervals are of each look, not of the sequence of looks.
LoadProbe probe_load(const std::vector<ServiceLevel>&, const RunAtLoad&, double load,
                     const LoadSearchOptions&);

/// Doubles (or halves) from `start` until one load holds and another does not, then bisects between them,
/// geometrically. What is indeterminate counts as not held for the direction of the search. With `to_beat`, a
/// load that another layout sustains: the first probe is there, and unless it holds the search gives up.
LoadSearch find_highest_load(const std::vector<ServiceLevel>&, const RunAtLoad&, double start,
                             std::optional<double> to_beat, const LoadSearchOptions&);

}  // namespace sextant
