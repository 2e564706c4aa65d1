#include "sim/planner/load_search.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

constexpr double upper_tail = 0.975;

double value_of(const ServingMetrics& metrics, const std::string& name) {
  for (const auto& [metric, value] : named_metrics(metrics))
    if (metric == name) return value;
  return 0;
}

/// Wilson's interval of a share of `count` requests (E. B. Wilson, 1927).
Interval binomial_interval(double share, double count) {
  const double z = boost::math::quantile(boost::math::normal(), upper_tail);
  const double weight = 1 + z * z / count;
  const double centre = (share + z * z / (2 * count)) / weight;
  const double half = z / weight * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return {centre - half, share, centre + half};
}

LoadVerdict verdict_of(const ServiceLevel& level, double low, double high) {
  const bool low_meets = level.at_most ? low <= level.bound : low >= level.bound;
  const bool high_meets = level.at_most ? high <= level.bound : high >= level.bound;
  if (low_meets && high_meets) return LoadVerdict::sustained;
  return low_meets || high_meets ? LoadVerdict::indeterminate : LoadVerdict::not_sustained;
}

MetricEstimate estimate_metric(const ServiceLevel& level, const std::vector<ServingMetrics>& runs) {
  MetricEstimate estimate{level, 0, 0, 0, LoadVerdict::indeterminate};
  const auto count = static_cast<double>(runs.size());
  double arrived = 0, squares = 0;
  for (const ServingMetrics& run : runs) {
    estimate.mean += value_of(run, level.metric) / count;
    arrived += static_cast<double>(run.arrived);
  }
  for (const ServingMetrics& run : runs) squares += std::pow(value_of(run, level.metric) - estimate.mean, 2);
  // A bounded metric without a sample misses its bound.
  if (!std::isfinite(estimate.mean)) {
    estimate.verdict = LoadVerdict::not_sustained;
    return estimate;
  }
  const double t = boost::math::quantile(boost::math::students_t(count - 1), upper_tail);
  const double margin = t * std::sqrt(squares / (count - 1) / count);
  estimate.low = std::max(0.0, estimate.mean - margin);
  estimate.high = estimate.mean + margin;
  if (level.metric == "goodput_fraction") {
    const Interval share = binomial_interval(estimate.mean, arrived);
    estimate.low = std::max(0.0, std::min(estimate.low, share.low));
    estimate.high = std::min(1.0, std::max(estimate.high, share.high));
  }
  estimate.verdict = verdict_of(level, estimate.low, estimate.high);
  return estimate;
}

/// Why one run alone tells that the load is too high; empty if it does not.
std::string fails_alone(const ServingMetrics& run) {
  if (run.overloaded)
    return run.overload.capacity > 0
               ? fmt::format("overloaded: {:.3g} requests/s arrive and {:.3g} are served",
                             run.overload.arrival_rate, run.overload.capacity)
               : fmt::format("overloaded: {:.3g} requests/s arrive, more than are served",
                             run.overload.arrival_rate);
  if (run.rejected > 0) return fmt::format("{} of {} requests are rejected", run.rejected, run.arrived);
  return {};
}

/// Why too few requests come to tell whether a load is sustained: before some have gone through, none waits
/// for another. Empty if they tell.
std::string too_few(const ServingMetrics& run, double load, const LoadSearchOptions& options) {
  constexpr double least_turns = 3;  // of a request's time, while requests arrive
  const double seconds = run.e2el.mean / 1e3;
  // By Little's law so many users are as many requests at once.
  const double turns = options.whole_numbers ? static_cast<double>(run.arrived) / load
                                             : static_cast<double>(run.arrived) / load / seconds;
  if (!(turns < least_turns)) return {};
  const double wanted = std::ceil(least_turns * load * (options.whole_numbers ? 1 : seconds));
  return fmt::format(
      "{} requests are too few to tell, expected num_prompts of {:.0f} or more: {} times what is "
      "under way at once",
      run.arrived, wanted, least_turns);
}

LoadVerdict joint_verdict(const std::vector<MetricEstimate>& metrics) {
  const auto has = [&](LoadVerdict verdict) {
    return std::any_of(metrics.begin(), metrics.end(),
                       [&](const MetricEstimate& m) { return m.verdict == verdict; });
  };
  if (has(LoadVerdict::not_sustained)) return LoadVerdict::not_sustained;
  return has(LoadVerdict::indeterminate) ? LoadVerdict::indeterminate : LoadVerdict::sustained;
}

/// The search of one layout: what holds and what does not, so far.
class Bracket {
 public:
  Bracket(const std::vector<ServiceLevel>& slo, const RunAtLoad& run, const LoadSearchOptions& options)
      : slo_(slo), run_(run), options_(options) {
    search_.unit = options.whole_numbers ? "requests at once" : "requests/s";
  }

  /// Tries a load; whether it holds.
  bool holds(double load) {
    search_.probes.push_back(probe_load(slo_, run_, load, options_));
    const LoadVerdict verdict = search_.probes.back().verdict;
    if (verdict == LoadVerdict::sustained) {
      search_.highest = std::max(search_.highest, load);
      return true;
    }
    if (verdict == LoadVerdict::not_sustained)
      search_.fails_at = std::min(search_.fails_at.value_or(load), load);
    else
      search_.indeterminate_from = std::min(search_.indeterminate_from.value_or(load), load);
    return false;
  }

  /// The nearest load that can be asked for.
  double askable(double load) const {
    const double asked = options_.whole_numbers ? std::max(1.0, std::round(load)) : load;
    return std::min(asked, options_.most);
  }

  void bisect() {
    while (true) {
      const double low = search_.highest, high = lowest_doubtful();
      const double middle = askable(std::sqrt(low * high));
      if (high <= low * (1 + options_.tolerance) || middle <= low || middle >= high) break;
      holds(middle);
    }
    search_.stopped = fmt::format("what does not hold is within {:.2g} % of what does",
                                  100 * (lowest_doubtful() / search_.highest - 1));
  }

  LoadSearch search_;

 private:
  double lowest_doubtful() const {
    const double failed = search_.fails_at.value_or(HUGE_VAL);
    return std::min(failed, search_.indeterminate_from.value_or(HUGE_VAL));
  }

  const std::vector<ServiceLevel>& slo_;
  const RunAtLoad& run_;
  const LoadSearchOptions& options_;
};

}  // namespace

std::string to_string(LoadVerdict verdict) {
  switch (verdict) {
    case LoadVerdict::sustained:
      return "sustained";
    case LoadVerdict::not_sustained:
      return "not sustained";
    case LoadVerdict::indeterminate:
      break;
  }
  return "indeterminate";
}

LoadProbe probe_load(const std::vector<ServiceLevel>& slo, const RunAtLoad& run, double load,
                     const LoadSearchOptions& options) {
  LoadProbe probe;
  probe.load = load;
  std::vector<ServingMetrics> runs = {run(load, 0)};
  probe.stopped = fails_alone(runs.front());
  if (!probe.stopped.empty()) {
    probe.verdict = LoadVerdict::not_sustained;
    probe.replications = 1;
    return probe;
  }
  std::size_t wanted = static_cast<std::size_t>(options.fewest_replications);
  const auto most = static_cast<std::size_t>(options.most_replications);
  while (true) {
    const std::size_t done = runs.size();
    runs.resize(wanted);
    run_parallel(static_cast<int>(wanted - done), options.threads, [&](int i) {
      const std::size_t at = done + static_cast<std::size_t>(i);
      runs[at] = run(load, at);
    });
    probe.metrics.clear();
    for (const ServiceLevel& level : slo) probe.metrics.push_back(estimate_metric(level, runs));
    probe.verdict = joint_verdict(probe.metrics);
    probe.replications = static_cast<int>(runs.size());
    if (probe.verdict == LoadVerdict::sustained)
      if (probe.stopped = too_few(runs.front(), load, options); !probe.stopped.empty()) {
        probe.verdict = LoadVerdict::indeterminate;
        return probe;
      }
    if (probe.verdict != LoadVerdict::indeterminate) {
      probe.stopped = "the intervals tell";
      return probe;
    }
    if (wanted == most) {
      probe.stopped = fmt::format("an interval still spans its bound after {} replications", most);
      return probe;
    }
    wanted = std::min(most, 2 * wanted);
  }
}

LoadSearch find_highest_load(const std::vector<ServiceLevel>& slo, const RunAtLoad& run, double start,
                             std::optional<double> to_beat, const LoadSearchOptions& options) {
  Bracket bracket(slo, run, options);
  LoadSearch& search = bracket.search_;
  // At a thousandth of what a layout can serve requests hardly meet; and none serves a thousand times its
  // estimate.
  constexpr int most_doublings = 10;
  double load = bracket.askable(to_beat.value_or(start));
  if (bracket.holds(load)) {
    for (int i = 0; i < most_doublings && load < options.most; ++i)
      if (load = bracket.askable(2 * load); !bracket.holds(load)) break;
  } else if (to_beat) {
    search.gave_up = true;
    search.stopped = fmt::format("{} at {:.4g} {}, which another layout sustains",
                                 to_string(search.probes.back().verdict), load, search.unit);
    return std::move(search);
  } else {
    for (int i = 0; i < most_doublings && search.highest == 0; ++i) {
      const double lower = bracket.askable(load / 2);
      if (lower == load) break;
      bracket.holds(load = lower);
    }
  }
  if (search.highest == 0) {
    search.stopped = fmt::format("nothing holds down to {:.3g} {}", load, search.unit);
  } else if (!search.fails_at && !search.indeterminate_from) {
    search.stopped = fmt::format("everything holds up to {:.3g} {}", load, search.unit);
  } else {
    bracket.bisect();
  }
  return std::move(search);
}

}  // namespace sextant
