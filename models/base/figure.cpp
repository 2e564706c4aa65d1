#include "models/base/figure.hpp"

namespace sextant {
namespace {
const std::vector<std::string> grade_names = {"measured", "fitted", "scaled", "datasheet", "assumed"};
}

std::string to_string(Grade grade) {
  return grade_names[static_cast<std::size_t>(grade)];
}

Grade read_grade(const JsonObject& object, std::string_view key) {
  return static_cast<Grade>(object.choice(key, grade_names));
}

Figure read_figure(const JsonValue& value, Range range) {
  const JsonObject object = value.object();
  Figure figure;
  figure.value = object.number("value", range);
  figure.grade = read_grade(object);
  figure.source = object.text("source");
  figure.note = object.text_or("note", "");
  object.finish();
  return figure;
}

}  // namespace sextant
