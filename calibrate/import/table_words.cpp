#include "calibrate/import/table_words.hpp"

#include <fmt/core.h>

#include <array>
#include <utility>

namespace sextant::detail {

std::string dtype_word(const CsvRow& row, std::size_t column) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> words = {{{"bfloat16", "bf16"},
                                                                                   {"float16", "fp16"},
                                                                                   {"half", "fp16"},
                                                                                   {"fp8", "fp8"},
                                                                                   {"fp8_block", "fp8_block"},
                                                                                   {"nvfp4", "nvfp4"},
                                                                                   {"int8", "int8"}}};
  for (const auto& [theirs, ours] : words)
    if (row.text(column) == theirs) return std::string(ours);
  row.fail(
      column,
      fmt::format("found the type '{}', expected one of bfloat16, float16, half, fp8, fp8_block, nvfp4, int8",
                  row.text(column)));
}

void note_source(std::string_view comment, std::string& source) {
  constexpr std::string_view key = " source: ";
  if (comment.starts_with(key))
    source = comment.substr(key.size(), comment.find("; latency in ms") - key.size());
}

}  // namespace sextant::detail
