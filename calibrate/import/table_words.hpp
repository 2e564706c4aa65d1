#pragma once
#include <string>
#include <string_view>

#include "calibrate/import/csv_table.hpp"

namespace sextant::detail {

/// The project's word for a table's dtype (bfloat16 -> bf16, half -> fp16, …). Throws InputError for an
/// unknown one.
std::string dtype_word(const CsvRow&, std::size_t column);
/// As dtype_word, for the types of experts' weights (int4_wo, w4a16_mxfp4, … keep their names).
std::string moe_dtype_word(const CsvRow&, std::size_t column);
/// Remembers the "source: …" comment of a table.
void note_source(std::string_view comment, std::string& source);

inline constexpr double microseconds_per_millisecond = 1e3;

}  // namespace sextant::detail
