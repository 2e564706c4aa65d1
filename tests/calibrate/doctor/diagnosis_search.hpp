#pragma once
#include <algorithm>
#include <string>
#include <vector>

#include "calibrate/doctor/doctor.hpp"

namespace sextant::test {

/// A doctor who expects 200 Gbit/s RoCE between two nodes.
inline Doctor roce_doctor() {
  FabricExpectation expectation;
  expectation.port_gbps = 200;
  expectation.port_source = "the test";
  expectation.transport = "roce";
  expectation.several_nodes = true;
  return {shipped_symptoms(), expectation};
}

/// Keys of the findings that are wrong or doubtful.
inline std::vector<std::string> symptoms_of(const Diagnosis& diagnosis) {
  std::vector<std::string> keys;
  for (const Finding& finding : diagnosis.findings)
    if (finding.severity != Severity::note) keys.push_back(finding.symptom);
  return keys;
}

inline const Finding* find(const Diagnosis& diagnosis, const std::string& symptom) {
  for (const Finding& finding : diagnosis.findings)
    if (finding.symptom == symptom) return &finding;
  return nullptr;
}

inline bool unchecked(const Diagnosis& diagnosis, const std::string& what) {
  return std::any_of(diagnosis.unchecked.begin(), diagnosis.unchecked.end(),
                     [&](const Unchecked& one) { return one.what.find(what) != std::string::npos; });
}

}  // namespace sextant::test
