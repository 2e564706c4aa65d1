#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sextant {

/// One dimension of a grid: a path of the scenario and the values it takes, each as JSON text. A range of
/// whole numbers keeps its ends only, so that an axis of a million values costs nothing.
class Axis {
 public:
  Axis(std::string path, std::vector<std::string> values)
      : path_(std::move(path)), values_(std::move(values)) {}
  Axis(std::string path, std::int64_t first, std::uint64_t count)
      : path_(std::move(path)), first_(first), count_(count) {}

  const std::string& path() const { return path_; }
  std::uint64_t size() const { return values_.empty() ? count_ : values_.size(); }
  /// The i-th value as JSON text; i < size().
  std::string value(std::uint64_t i) const;
  /// "1..1000000", or the values as a JSON list.
  std::string values_text() const;

 private:
  std::string path_;
  std::vector<std::string> values_;  ///< empty: the range
  std::int64_t first_ = 0;
  std::uint64_t count_ = 0;
};

/// Reads "path=a,b,c" or "path=first..last" (whole numbers, both included). Commas within brackets, braces
/// and quotation marks belong to a value; what is not JSON is a string. Throws InputError for an empty value
/// and one that stands twice.
Axis read_axis(const std::string& text);

/// Refuses two axes that would write the same place: one path, one path within another, or [*] beside an
/// index. Throws InputError naming both.
void expect_separate(const std::vector<Axis>&);

}  // namespace sextant
