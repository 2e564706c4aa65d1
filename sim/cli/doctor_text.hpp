#pragma once
#include <optional>
#include <string>
#include <vector>

#include "calibrate/doctor/finding.hpp"
#include "calibrate/doctor/symptoms.hpp"
#include "reports/text_style.hpp"
#include "sim/cli/doctor_price.hpp"

namespace sextant {

/// A diagnosis with what its findings cost a scenario.
struct DoctorReport {
  Diagnosis diagnosis;
  std::string scenario;  ///< its name; empty: none was given
  std::string layout;
  double base = 0;                                ///< output tokens/s of the fabric as it should be
  std::vector<std::optional<FaultPrice>> prices;  ///< by finding; nullopt: the simulator has no word for it
  std::optional<FaultPrice> together;  ///< all findings at once, if more than one kind costs something
};

std::string doctor_text(const DoctorReport&, const Symptoms&, TextStyle);
std::string doctor_json(const DoctorReport&, const Symptoms&);

}  // namespace sextant
