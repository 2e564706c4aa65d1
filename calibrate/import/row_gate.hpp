#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "calibrate/import/csv_table.hpp"
#include "calibrate/import/duplicates.hpp"
#include "calibrate/import/import_report.hpp"
#include "calibrate/import/plausibility.hpp"

namespace sextant {

/// Where in a file a time stands: a line and a column, or a path in a JSON document.
struct RowPlace {
  std::size_t line = 0;
  std::string_view column;  ///< of a table; without a line, a JSON path
};

/// Judges, counts and passes on the rows of one file.
class RowGate {
 public:
  RowGate(const std::string& file, const std::string& gpu, ImportReport&, const MeasurementSink&);

  /// The number in a cell; nullopt, and the row counted as excluded, if it is empty, not a number, infinite,
  /// zero or negative. Throws InputError for other text.
  std::optional<double> positive(std::string_view cell, const RowPlace&);
  /// Judges the time and passes the row on. Throws InputError if it cannot be a measurement. `identity` is a
  /// hash of all that the row measures.
  void pass(const Measurement&, double us, std::uint64_t identity, const RowPlace&);
  /// As above; hashes the row itself.
  void pass(const Measurement&, double us, const RowPlace&);
  /// As above, for what is no kernel's time (a rate, a message's latency): looks for repeats alone.
  void pass_rate(const Measurement&, double value, const RowPlace&);
  /// Passes on a row whose kind has no time or no bound.
  void pass_unjudged(const Measurement&);
  void exclude(const std::string& reason, const RowPlace&, const std::string& message);
  void leave_out(const std::string& reason, const RowPlace&);
  /// To be called after the last row. Throws InputError if too many rows were excluded, or all are too slow.
  void finish();
  std::string where(const RowPlace&) const;

 private:
  void look_for_repeat(double value, std::uint64_t identity, const RowPlace&);
  const std::string& file_;
  ImportReport& report_;
  const MeasurementSink& sink_;
  const ImportLimits& limits_;
  Plausibility plausibility_;
  DuplicateFinder seen_;
  std::int64_t rows_ = 0, excluded_ = 0;
  std::string first_excluded_;
  std::array<std::int64_t, std::variant_size_v<MeasurementRow>> passed_{};  ///< by kind
};

/// A hash of a measurement without its times.
std::uint64_t measurement_identity(Measurement);

}  // namespace sextant
