#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "sim/sweep/axis.hpp"

namespace sextant {

/// A scenario and the axes it is varied along. Points are numbered row by row: the last axis runs fastest.
class SweepGrid {
 public:
  /// Throws InputError for axes that overlap, and where the number of points passes 2^63.
  SweepGrid(JsonValue scenario, std::vector<Axis>);

  const JsonValue& scenario() const { return scenario_; }
  const std::vector<Axis>& axes() const { return axes_; }
  std::uint64_t points() const { return points_; }
  /// The values of a point, one for each axis, as JSON text.
  std::vector<std::string> values(std::uint64_t point) const;
  /// The scenario of a point. Throws InputError for a path that does not exist.
  JsonValue at(std::uint64_t point) const;
  /// "1,000 points: workload.request_rate (10) x workload.seed (100)"
  std::string describe() const;
  /// What two shards must agree on, as one line of JSON: the version that computes, scenario, axes, and a
  /// hash of the profiles and of the files that the scenario names.
  std::string identity(const std::string& version) const;
  /// The files that scenario and axes name (traces, configs), separated by commas.
  std::string named_files() const;

 private:
  JsonValue scenario_;
  std::vector<Axis> axes_;
  std::uint64_t points_ = 1;
};

/// Where two identities differ first, in words: "axes[1].values: [1,2] and [1,2,3]"; empty where they agree.
std::string identity_difference(const std::string& a, const std::string& b);

/// Refuses axes none of whose values gives a scenario that can be read: a misspelt key, a value of the wrong
/// kind. Throws InputError with the reason of the first value.
void expect_readable(const SweepGrid&);

}  // namespace sextant
