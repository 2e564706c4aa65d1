#pragma once
#include <string>

#include "models/base/json_reader.hpp"

namespace sextant {

/// How far a number can be trusted, best first. A prediction carries the weakest grade it used.
enum class Grade { measured, fitted, scaled, datasheet, assumed };
std::string to_string(Grade);
Grade read_grade(const JsonObject&, std::string_view key = "grade");
inline Grade weakest(Grade a, Grade b) {
  return a < b ? b : a;
}

/// A number with where it came from.
struct Figure {
  double value = 0;
  Grade grade = Grade::assumed;
  std::string source;
  std::string note;  ///< conflicts between sources, caveats; may be empty
};

/// {"value": 1597, "grade": "datasheet", "source": "...", "note": "..."}; the source is required.
Figure read_figure(const JsonValue&, Range);

}  // namespace sextant
