#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "calibrate/import/csv_table.hpp"
#include "calibrate/import/row_gate.hpp"

namespace sextant::detail {

/// The project's word for a table's dtype (bfloat16 -> bf16, half -> fp16, …). Throws InputError for an
/// unknown one.
std::string dtype_word(const CsvRow&, std::size_t column);
/// As dtype_word, for the types of experts' weights (int4_wo, w4a16_mxfp4, … keep their names).
std::string moe_dtype_word(const CsvRow&, std::size_t column);
/// Remembers the "source: …" comment of a table.
void note_source(std::string_view comment, std::string& source);

inline constexpr double microseconds_per_millisecond = 1e3;

/// The place of a cell, for the gate.
RowPlace place_of(const CsvRow&, std::size_t column);
/// A latency in ms as us; nullopt, and the row counted, where it is none.
std::optional<double> latency_us(RowGate&, const CsvRow&, std::size_t column);
/// Passes a table's row on; everything but the latency says what it measures.
void pass_row(RowGate&, const Measurement&, double us, const CsvRow&, std::size_t latency);

}  // namespace sextant::detail
