#include "sim/sweep/axis.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

/// The text cut at commas that stand outside brackets, braces and quotation marks.
std::vector<std::string> split_values(const std::string& text) {
  std::vector<std::string> parts(1);
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\' && i + 1 < text.size()) parts.back() += text[i++];
      if (c == '"') quoted = false;
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      ++depth;
    } else if (c == ']' || c == '}') {
      --depth;
    } else if (c == ',' && depth <= 0) {
      parts.emplace_back();
      continue;
    }
    parts.back() += text[i];
  }
  return parts;
}

/// One text for one value, whatever its spelling: 0.50 is 0.5.
std::string as_json(const std::string& text) {
  const Json value = Json::parse(text, nullptr, false, true);
  return (value.is_discarded() ? Json(text) : value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<std::int64_t> whole(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<Axis> read_range(const std::string& path, const std::string& text) {
  const std::size_t dots = text.find("..");
  if (dots == std::string::npos) return std::nullopt;
  const auto first = whole(std::string_view(text).substr(0, dots));
  const auto last = whole(std::string_view(text).substr(dots + 2));
  if (!first || !last) return std::nullopt;
  constexpr std::int64_t farthest = std::int64_t{1} << 53;  // whole numbers that JSON readers agree on
  if (*first < -farthest || *last > farthest || *last < *first)
    throw InputError(
        fmt::format("--axis {}: found {}, expected first..last, both included, up to 2^53", path, text));
  return Axis(path, *first, static_cast<std::uint64_t>(*last - *first) + 1);
}

std::vector<std::string> steps(const std::string& path) {
  std::vector<std::string> found;
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t end = std::min(path.find_first_of(".[", at + 1), path.size());
    const std::string step = path.substr(at, end - at);
    found.push_back(step.starts_with('.') ? step.substr(1) : step);
    at = end;
  }
  return found;
}

bool same_place(const std::string& a, const std::string& b) {
  if (a == b) return true;
  return (a == "[*]" && b.starts_with('[')) || (b == "[*]" && a.starts_with('['));
}

bool overlap(const std::string& a, const std::string& b) {
  const std::vector<std::string> left = steps(a), right = steps(b);
  const std::size_t shared = std::min(left.size(), right.size());
  return std::equal(left.begin(), left.begin() + static_cast<std::ptrdiff_t>(shared), right.begin(),
                    same_place);
}

}  // namespace

std::string Axis::value(std::uint64_t i) const {
  return values_.empty() ? fmt::format("{}", first_ + static_cast<std::int64_t>(i)) : values_[i];
}

std::string Axis::values_text() const {
  if (!values_.empty()) return fmt::format("[{}]", fmt::join(values_, ","));
  return fmt::format("\"{}..{}\"", first_, first_ + static_cast<std::int64_t>(count_ - 1));
}

Axis read_axis(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError(fmt::format(
        "--axis: found '{}', expected PATH=VALUE,VALUE,… such as workload.request_rate=1,2,4", text));
  const std::string path = text.substr(0, equals), list = text.substr(equals + 1);
  if (const auto range = read_range(path, list)) return *range;
  std::vector<std::string> values;
  std::set<std::string> seen;
  for (const std::string& part : split_values(list)) {
    if (part.empty())
      throw InputError(
          fmt::format("--axis {}: found an empty value in '{}', expected values between commas", path, list));
    values.push_back(as_json(part));
    if (!seen.insert(values.back()).second)
      throw InputError(fmt::format("--axis {}: found {} twice, expected it once", path, values.back()));
  }
  return {path, std::move(values)};
}

void expect_separate(const std::vector<Axis>& axes) {
  for (std::size_t i = 0; i < axes.size(); ++i)
    for (std::size_t j = 0; j < i; ++j)
      if (overlap(axes[i].path(), axes[j].path()))
        throw InputError(
            fmt::format("--axis {}: found another axis on the same path, {}, expected one for each",
                        axes[i].path(), axes[j].path()));
}

}  // namespace sextant
