#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace sextant {

/// A result as --json wrote it ("sextant plan", "sextant metrics", "sextant validation", "sextant sweep",
/// "sextant comparison"), keys in the file's order. Throws InputError, naming the file, for what is no JSON,
/// no result of ours, or of a version this program does not know.
nlohmann::ordered_json parse_result(std::string_view text, const std::string& file);

/// The same from a file; "-" is not taken.
nlohmann::ordered_json read_result(const std::string& path);

}  // namespace sextant
