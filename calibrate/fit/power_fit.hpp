#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/hardware/catalogue.hpp"
#include "models/profile/measurement.hpp"
#include "models/profile/power.hpp"

namespace sextant {

/// What power measurements do not tell.
struct PowerRules {
  struct SameCurve {
    std::string gpu;  ///< whose voltages and capacitances
    std::string source;
  };
  Figure memory_watts;                          ///< of the memory and its interface at their full rate
  std::map<std::string, SameCurve> same_curve;  ///< by GPU that is not fitted itself
};

/// {"format": "sextant power rules", "version": 1, …}; strict. Throws InputError.
PowerRules read_power_rules(const JsonValue&);
/// calibrate/profiles/power-rules.json.
PowerRules shipped_power_rules();

/// A measured clock or speed beside the prediction.
struct PowerPoint {
  std::string gpu;
  std::string what;  ///< "clock in MHz of tensor work", "relative speed of stream work"
  double watts_limit = 0;
  double measured = 0;
  double predicted = 0;
  double left_out = 0;  ///< predicted by a fit to the other limits only; 0: the point was not fitted
};

/// Collects rows of kind "power" and fits the models of all GPUs among them.
///  - tensor rows with a clock: static watts, tensor-bound capacitance and voltage slope of their GPU, least
///    squares of the relative errors of the clocks. Rows whose speed per clock falls by a fifth skip cycles:
///    the highest such clock is the card's lowest.
///  - copy rows with a clock and watts: capacitance of streaming work.
///  - stream rows: the clock from which the memory is saturated.
/// A GPU without the latter two takes them from another, graded `scaled`; so does a whole GPU in
/// PowerRules::same_curve.
class PowerFit {
 public:
  void add(const Measurement&);
  /// Throws InputError if a GPU has fewer than four clocks, or nothing tells of streaming work.
  std::vector<PowerModel> fit(const PowerRules&) const;
  /// Every tensor and stream row beside its prediction, those fitted with the leave-one-limit-out one.
  std::vector<PowerPoint> points(const std::vector<PowerModel>&, const PowerRules&) const;

 private:
  struct Row {
    PowerRow row;
    std::string source;
  };
  std::map<std::string, std::vector<Row>> rows_;  ///< by GPU
};

/// The points as a table for a terminal.
std::string power_report_text(const std::vector<PowerPoint>&);

}  // namespace sextant
