#pragma once
#include <string>
#include <vector>

namespace sextant {

/// A field as RFC 4180 quotes it; what would steer a terminal is escaped, as the text may be shown on one.
std::string csv_field(const std::string& text);
/// Several texts in one field: "a; b".
std::string csv_list(const std::vector<std::string>& texts);
/// A number so that reading gives it back; empty where it is not finite.
std::string csv_number(double value);

}  // namespace sextant
