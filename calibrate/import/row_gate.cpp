#include "calibrate/import/row_gate.hpp"

#include <fmt/core.h>

#include <charconv>
#include <cmath>

#include "models/base/error.hpp"
#include "models/profile/measurement_fields.hpp"

namespace sextant {
namespace {

/// Sets to zero what a row measures, and leaves what it measures it of.
struct ForgetTimes {
  template <class Row>
  void operator()(Row& row) const {
    if constexpr (requires { row.us = 0; }) row.us = 0;
    if constexpr (requires { row.gbps = 0; }) row.gbps = 0;
    if constexpr (requires { row.ms = 0; }) row.ms = 0;
    if constexpr (requires { row.stage_ms; }) row.stage_ms.clear();
    if constexpr (requires { row.relative_speed = 0; }) row.relative_speed = 0;
    if constexpr (std::is_same_v<Row, OverlapRow>)
      row.collective_us_alone = row.collective_us_beside = row.gemm_us_alone = row.gemm_us_beside = 0;
    if constexpr (requires { row.measured; }) row.measured.clear();
  }
};

/// The words for the kinds, in the order of the variant.
template <std::size_t... Index>
std::vector<std::string> kind_names(std::index_sequence<Index...>) {
  return {detail::kind_name<std::variant_alternative_t<Index, MeasurementRow>>()...};
}

}  // namespace

std::uint64_t measurement_identity(Measurement measurement) {
  std::visit(ForgetTimes(), measurement.row);
  measurement.source.clear();
  return std::hash<std::string>()(write_measurement(measurement));
}

RowGate::RowGate(const std::string& file, const std::string& gpu, ImportReport& report,
                 const MeasurementSink& sink)
    : file_(file),
      report_(report),
      sink_(sink),
      limits_(shipped_import_limits()),
      plausibility_(gpu, limits_) {}

std::string RowGate::where(const RowPlace& place) const {
  if (place.line == 0) return fmt::format("{}: {}", file_, place.column);
  if (place.column.empty()) return fmt::format("{}:{}", file_, place.line);
  return fmt::format("{}:{}: column '{}'", file_, place.line, place.column);
}

std::optional<double> RowGate::positive(std::string_view cell, const RowPlace& place) {
  double value = 0;
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  const bool whole = end == cell.data() + cell.size();
  const std::string message = fmt::format("found '{}', expected a number above 0", cell);
  if (error == std::errc() && whole && std::isfinite(value) && value > 0) return value;
  const char* reason = nullptr;
  if (cell.empty())
    reason = "empty";
  else if (error == std::errc::result_out_of_range && whole)
    reason = "out of range";
  else if (error == std::errc() && whole)
    reason = std::isnan(value)   ? "not a number"
             : std::isinf(value) ? "infinite"
             : value < 0         ? "negative"
                                 : "zero";
  if (!reason) throw InputError(fmt::format("{}: {}", where(place), message));
  exclude(reason, place, message);
  return std::nullopt;
}

void RowGate::exclude(const std::string& reason, const RowPlace& place, const std::string& message) {
  ++rows_;
  ++excluded_;
  ++report_.read;
  const std::string line = fmt::format("{}: {}", where(place), message);
  if (first_excluded_.empty()) first_excluded_ = line;
  report_.exclude(reason, line);
}

void RowGate::leave_out(const std::string& reason, const RowPlace& place) {
  ++rows_;
  ++report_.read;
  report_.leave_out(reason, where(place));
}

void RowGate::pass(const Measurement& measurement, double us, std::uint64_t identity, const RowPlace& place) {
  if (const auto objection = plausibility_.objection(measurement.row, us))
    throw InputError(fmt::format("{}: {}", where(place), *objection));
  look_for_repeat(us, identity, place);
  pass_unjudged(measurement);
}

void RowGate::pass_rate(const Measurement& measurement, double value, const RowPlace& place) {
  look_for_repeat(value, measurement_identity(measurement), place);
  pass_unjudged(measurement);
}

void RowGate::look_for_repeat(double value, std::uint64_t identity, const RowPlace& place) {
  const double earlier = seen_.look(identity, value);
  if (earlier <= 0) return;
  ++report_.repeated;
  if (std::abs(value - earlier) > limits_.duplicates_differ * std::min(value, earlier) &&
      report_.disagreeing++ == 0)
    report_.first_disagreement = fmt::format("{}: {:.5g} and earlier {:.5g}", where(place), value, earlier);
}

void RowGate::pass_unjudged(const Measurement& measurement) {
  ++rows_;
  ++report_.read;
  if (const auto* other = std::get_if<OtherRow>(&measurement.row))
    ++report_.passed[other->kind];
  else
    ++passed_[measurement.row.index()];
  sink_(measurement);
}

void RowGate::pass(const Measurement& measurement, double us, const RowPlace& place) {
  pass(measurement, us, measurement_identity(measurement), place);
}

void RowGate::finish() {
  const auto names = kind_names(std::make_index_sequence<std::variant_size_v<MeasurementRow>>());
  for (std::size_t kind = 0; kind < names.size(); ++kind)
    if (passed_[kind] != 0) report_.passed[names[kind]] += passed_[kind];
  if (static_cast<double>(excluded_) > limits_.excluded_share * static_cast<double>(rows_)) {
    throw InputError(
        fmt::format("{}: found {} of {} rows without a usable number (first {}), expected at most "
                    "{:.3g} % of them",
                    file_, excluded_, rows_, first_excluded_, 100 * limits_.excluded_share));
  }
  if (const auto objection = plausibility_.objection_to_all())
    throw InputError(fmt::format("{}: {}", file_, *objection));
}

}  // namespace sextant
