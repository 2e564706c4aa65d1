#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sextant {

/// wrong: it costs or fails; doubtful: it probably does; note: good to know, nothing to mend.
enum class Severity { wrong, doubtful, note };
std::string to_string(Severity);

/// A change to a scenario that makes it as the fabric was found: path and JSON text, as `--set`.
using ScenarioChange = std::pair<std::string, std::string>;

/// Something about a fabric that is not as it should be.
struct Finding {
  std::string symptom;  ///< key in catalogue/symptoms.json
  Severity severity = Severity::note;
  std::string subject;  ///< "mlx5_0 port 1", "GPU1", a pair of nodes
  std::string found;    ///< with the file or place it was seen at
  std::string expected;
  std::string source;  ///< who says so
  std::string mend;    ///< the command
  std::vector<ScenarioChange>
      changes;  ///< what the fabric as found is in a scenario; empty: the simulator has no word for it
};

/// What could not be looked at, and why.
struct Unchecked {
  std::string what, why;
};

/// All that came of looking at a fabric.
struct Diagnosis {
  std::vector<Finding> findings;
  std::vector<std::string> passed;  ///< what was looked at and is as it should be
  std::vector<Unchecked> unchecked;

  /// Whether a finding is wrong or doubtful.
  bool something_wrong() const;
  void could_not_check(std::string what, std::string why) {
    unchecked.push_back({std::move(what), std::move(why)});
  }
};

}  // namespace sextant
