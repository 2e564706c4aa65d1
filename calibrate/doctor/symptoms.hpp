#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "calibrate/doctor/finding.hpp"
#include "models/base/json_reader.hpp"

namespace sextant {

/// What perftest shows on a clean fabric of one port rate; Gbit/s and us.
struct CleanFabric {
  double gbps = 0;
  double low_bandwidth = 0, high_bandwidth = 0;
  double low_latency_us = 0, high_latency_us = 0;
};

/// Bus bandwidth that a group should reach, 10^9 B/s.
struct ExpectedBusbw {
  std::string op, link;
  int ranks = 0, nodes = 1;
  double gbps = 0;  ///< of each NIC; 0 inside a node
  double from_bytes = 0, low = 0, high = 0;
  std::string source;
};

/// catalogue/symptoms.json: thresholds, tables and the text of every finding.
class Symptoms {
 public:
  /// Strict. Throws InputError.
  explicit Symptoms(const JsonValue&);

  /// Throws InputError for a name the catalogue lacks.
  double threshold(const std::string& name) const;
  /// A finding's texts, {words} replaced from `words`. Throws InputError for a symptom the catalogue lacks.
  Finding describe(const std::string& symptom, const std::map<std::string, std::string>& words) const;
  /// The row of that port rate, if there is one within a tenth.
  std::optional<CleanFabric> clean_fabric(double gbps) const;
  /// "[wiki]" -> the document's title.
  const std::map<std::string, std::string>& sources() const { return sources_; }
  const std::vector<ExpectedBusbw>& expected_busbw() const { return expected_busbw_; }

 private:
  std::map<std::string, std::string> sources_;
  std::map<std::string, double> thresholds_;
  std::map<std::string, Finding> symptoms_;
  std::vector<CleanFabric> clean_;
  std::vector<ExpectedBusbw> expected_busbw_;
};

/// The shipped catalogue.
Symptoms shipped_symptoms();

}  // namespace sextant
