#pragma once
#include <map>
#include <string>

#include "models/base/json_reader.hpp"

namespace sextant {

/// Widths of the latent attention that the MLA tables measure, elements per head or token.
struct MlaWidths {
  double latent = 0, rope = 0, nope = 0, value = 0;
};

/// What an importer takes for a measurement; sources and grades stand in the file.
struct ImportLimits {
  double times_peak = 0;      ///< of the data sheet's rate: nothing is faster
  double shortest_us = 0;     ///< nothing is faster
  double judged_from_us = 0;  ///< rows with less work are not judged as too slow
  std::map<std::string, double, std::less<>> slowest_share;  ///< by kind, of the data sheet's rate
  double best_share_of_a_table = 0;
  double rows_to_judge_a_table = 0;
  double excluded_share = 0;     ///< of a file's rows
  double duplicates_differ = 0;  ///< relative difference of two times
  double rates_agree = 0;        ///< relative, of one rate printed in two ways
  MlaWidths mla;
};

/// {"format": "sextant import limits", "version": 1, …}; strict. Throws InputError.
ImportLimits read_import_limits(const JsonValue&);
/// The shipped ones, calibrate/profiles/import-limits.json.
const ImportLimits& shipped_import_limits();

}  // namespace sextant
