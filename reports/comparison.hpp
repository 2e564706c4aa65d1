#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "reports/text_style.hpp"

namespace sextant {

/// One side of a comparison and what its reader calls it: its file.
struct NamedResult {
  std::string name;
  const nlohmann::ordered_json* result = nullptr;
};

/// Two results side by side: {"format": "sextant comparison", "version": 1, of, a, b, settings [{what, a, b}]
/// where they differ, rows [{of, figure, a, b, change_percent, a_low, a_high, b_low, b_high, verdict}],
/// only_in_a, only_in_b}. Plans and simulations are lined up by metric, validations by group and, where a
/// value is the same row of the same file, by value, sweeps by the axes' values. `verdict`: "same", "within
/// intervals" (each lies in the other's interval), "outside" (some does not), "differs" (there is no interval
/// to judge by). Throws InputError for results of different kinds.
nlohmann::ordered_json compare_results(const NamedResult& a, const NamedResult& b);

/// For a terminal, an issue and a spreadsheet.
std::string comparison_text(const nlohmann::ordered_json& comparison, TextStyle = {});
std::string comparison_markdown(const nlohmann::ordered_json& comparison);
std::string comparison_csv(const nlohmann::ordered_json& comparison);

/// "+3.1 %" from one value to another; empty where there is nothing to compare with.
std::string change_text(double from, double to);

}  // namespace sextant
