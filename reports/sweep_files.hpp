#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"

namespace sextant {

/// A sweep as its files have it: what it is of (SweepGrid::identity) and one line of JSON for each point, in
/// order.
struct SweepRows {
  std::string identity;
  std::vector<std::string> rows;
};

/// {"format": "sextant sweep", "version": 1, …}: scenario, axes and every row (reports/README.md).
std::string sweep_json(const SweepRows&, const std::string& command = "");

/// One row per point with a header: point, the axes' values, status, layout, metrics (RFC 4180).
std::string sweep_csv(const SweepRows&);

/// For a terminal: how many points gave what, the points of highest output throughput (of those that meet the
/// SLO first), and the reasons of those without a plan.
std::string sweep_text(const SweepRows&, TextStyle = {});

}  // namespace sextant
