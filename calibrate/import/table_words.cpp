#include "calibrate/import/table_words.hpp"

#include <fmt/core.h>

#include <array>
#include <span>
#include <utility>

namespace sextant::detail {
namespace {

using Word = std::pair<std::string_view, std::string_view>;  ///< theirs, ours
// What only experts have stands last.
constexpr std::array<Word, 10> types = {{{"bfloat16", "bf16"},
                                         {"float16", "fp16"},
                                         {"half", "fp16"},
                                         {"fp8", "fp8"},
                                         {"fp8_block", "fp8_block"},
                                         {"nvfp4", "nvfp4"},
                                         {"int8", "int8"},
                                         {"int4_wo", "int4_wo"},
                                         {"w4a16_mxfp4", "w4a16_mxfp4"},
                                         {"w4a8_mxfp4_mxfp8", "w4a8_mxfp4_mxfp8"}}};
constexpr std::size_t experts_only = 3;

std::string type_word(const CsvRow& row, std::size_t column, std::span<const Word> words) {
  std::string expected;
  for (const auto& [theirs, ours] : words) {
    if (row.text(column) == theirs) return std::string(ours);
    expected.append(expected.empty() ? "" : ", ").append(theirs);
  }
  row.fail(column, fmt::format("found the type '{}', expected one of {}", row.text(column), expected));
}

}  // namespace

std::string dtype_word(const CsvRow& row, std::size_t column) {
  return type_word(row, column, std::span(types).first(types.size() - experts_only));
}

std::string moe_dtype_word(const CsvRow& row, std::size_t column) {
  return type_word(row, column, types);
}

RowPlace place_of(const CsvRow& row, std::size_t column) {
  return {row.line(), row.name(column)};
}

std::optional<double> latency_us(RowGate& gate, const CsvRow& row, std::size_t column) {
  const std::optional<double> ms = gate.positive(row.text(column), place_of(row, column));
  return ms ? std::optional(*ms * microseconds_per_millisecond) : std::nullopt;
}

void pass_row(RowGate& gate, const Measurement& measurement, double us, const CsvRow& row,
              std::size_t latency) {
  gate.pass(measurement, us, row.hash_without(latency), place_of(row, latency));
}

void note_source(std::string_view comment, std::string& source) {
  constexpr std::string_view key = " source: ";
  if (comment.starts_with(key))
    source = comment.substr(key.size(), comment.find("; latency in ms") - key.size());
}

}  // namespace sextant::detail
