#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sextant {

/// JSON as a person would lay it out: two spaces of indentation, keys in their order, arrays of numbers and
/// objects of a few short values on one line. Ends with a line end.
std::string readable_json(const nlohmann::ordered_json&);

/// The number rounded to so many significant decimal digits.
double rounded(double value, int significant_digits);

}  // namespace sextant
