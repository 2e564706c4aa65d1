#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "models/profile/measurement.hpp"

namespace sextant {

using MeasurementSink = std::function<void(const Measurement&)>;

/// Rows left out for one reason, and the first of them.
struct Exclusion {
  std::int64_t rows = 0;
  std::string first;  ///< "FILE:12: column 'latency': found 'nan', expected a number above 0"
};

/// What became of an import's rows: every row read was passed on or is counted here.
struct ImportReport {
  std::int64_t read = 0;
  std::map<std::string, std::int64_t> passed;  ///< by kind
  std::map<std::string, Exclusion> excluded;   ///< bad rows, by reason
  std::map<std::string, Exclusion> left_out;   ///< good rows that say nothing we ask for, by reason
  std::int64_t repeated = 0;                   ///< rows passed on that measure what an earlier one did
  std::int64_t disagreeing = 0;                ///< those of them whose times differ by much
  std::string first_disagreement;
  bool strict = false;  ///< the first bad row throws InputError instead of being counted

  /// Counts a bad row, or throws InputError `where` if strict.
  void exclude(const std::string& reason, const std::string& where);
  void leave_out(const std::string& reason, const std::string& where);
  std::int64_t excluded_rows() const;
  std::int64_t passed_rows() const;
  /// A few lines: rows read and passed on, exclusions with their first place, repeats.
  std::string text() const;
};

}  // namespace sextant
