#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"
#include "sim/planner/search.hpp"

namespace sextant {

/// How a metric moves from base to variant.
struct Movement {
  double base = 0, variant = 0;
  /// Of variant / base: 90 % interval of the model's error, with the same requests and the same error of each
  /// operator family on both sides; nullopt: not asked for, or the base is 0.
  std::optional<Interval> ratio;
  /// Whether the whole interval lies on one side of 1; false without an interval.
  bool beyond_error() const;
};

/// One variant beside the base.
struct WhatIfRow {
  std::string name;
  std::vector<std::string> changes;  ///< "cluster.nodes[*].nic = connectx-7-400"
  Scenario scenario;                 ///< with the changes
  std::optional<Candidate> kept;     ///< the base's layout on the variant's GPUs of the same names
  std::string not_kept;           ///< why the base's layout cannot be kept; empty: it is, or none was asked
  std::optional<Candidate> best;  ///< the variant's best layout, where another is better than the kept one
  std::string infeasible;         ///< why nothing can be at all
  std::map<std::string, Movement> movements;  ///< by metric, base to shown()
  std::vector<std::string> why;               ///< what moved, in sentences
  /// The kept layout, else the best; nullptr where nothing can be.
  const Candidate* shown() const;
};

/// Base and variants side by side.
struct WhatIf {
  Scenario scenario;
  Candidate base;
  std::vector<WhatIfRow> rows;
};

struct WhatIfOptions {
  PlanOptions plan;
  bool search = true;  ///< whether a variant whose deployment is searched looks for a better layout
};

/// Plans the base, then every variant: its layout is the base's as long as the GPUs, the layers and the
/// memory allow it and the variant does not change the deployment; beside it stands the variant's own best.
/// Throws InputError for a variant that is no scenario, InfeasibleError if nothing fits the base; a variant
/// that nothing fits, or whose cluster is disconnected, is a row with its reason.
WhatIf what_if(const JsonValue& document, const std::vector<Variant>&, const WhatIfOptions& = {});

/// A scenario with the layout that runs on it.
struct RunningLayout {
  const SearchContext& context;
  const Candidate& candidate;
};

/// What a change moves and where: stage passes by operator family, hops by link, collectives, KV room, the
/// busiest stage, what requests wait for. Passes and hops are compared at the base's typical batch and chunk.
std::vector<std::string> what_moved(const RunningLayout& base, const RunningLayout& variant);

/// The base's layout on the GPUs of the same names. Throws InputError, in words, where there is no such GPU
/// or the model has other layers or heads.
Layout same_layout(const Cluster& base, const Layout&, const Scenario& variant);

}  // namespace sextant
