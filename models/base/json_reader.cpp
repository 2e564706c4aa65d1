#include "models/base/json_reader.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

/// Line and column (from 1) of a byte offset.
std::pair<std::size_t, std::size_t> position(std::string_view text, std::size_t byte) {
  std::size_t line = 1, column = 1;
  for (std::size_t i = 0; i < std::min(byte, text.size()); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return {line, column};
}

std::string describe(const Json& node) {
  if (node.is_string()) {
    std::string text = node.get<std::string>();
    if (text.size() > 60) text = text.substr(0, 57) + "...";
    // As JSON, so that the message stays one line; a character cut in two is replaced.
    return fmt::format("found {}", Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  if (node.is_object()) return "found an object";
  if (node.is_array()) return "found an array";
  return "found " + node.dump();
}

std::string range_text(Range range) {
  const bool low = std::isfinite(range.low), high = std::isfinite(range.high);
  if (low && high) return fmt::format(" from {:.15g} to {:.15g}", range.low, range.high);
  if (low) return fmt::format(" of at least {:.15g}", range.low);
  if (high) return fmt::format(" of at most {:.15g}", range.high);
  return "";
}

/// Edit distance with transpositions (optimal string alignment). Another digit is another thing rather than a
/// slip of the finger: it counts twice.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const auto digit = [](char c) { return c >= '0' && c <= '9'; };
      const std::size_t cost = a[i - 1] == b[j - 1] ? 0 : digit(a[i - 1]) && digit(b[j - 1]) ? 2 : 1;
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + cost});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

/// The pieces of a name between its hyphens, underscores, full stops and spaces, in lower case:
/// "Llama 3.1-8b" is llama, 3, 1, 8b.
std::set<std::string> pieces_of(std::string_view name) {
  std::set<std::string> pieces;
  std::string piece;
  const auto end = [&] {
    if (!piece.empty()) pieces.insert(std::exchange(piece, {}));
  };
  for (const char c : name) {
    if (c == '-' || c == '_' || c == '.' || c == ' ')
      end();
    else
      piece += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  }
  end();
  return pieces;
}

/// The shortest name that has every piece of the word: "llama-405b" is llama-3.1-405b.
std::optional<std::string> fuller_name(std::string_view word, const std::vector<std::string>& known) {
  const std::set<std::string> wanted = pieces_of(word);
  if (wanted.empty()) return std::nullopt;
  std::optional<std::string> best;
  for (const std::string& candidate : known) {
    const std::set<std::string> pieces = pieces_of(candidate);
    if (std::includes(pieces.begin(), pieces.end(), wanted.begin(), wanted.end()) &&
        (!best || candidate.size() < best->size()))
      best = candidate;
  }
  return best;
}

}  // namespace

JsonValue::JsonValue(std::shared_ptr<const Json> document, const Json* node,
                     std::shared_ptr<const std::string> file, std::string path)
    : document_(std::move(document)), node_(node), file_(std::move(file)), path_(std::move(path)) {}

JsonValue JsonValue::parse(std::string_view text, const std::string& file) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos)
    throw InputError(fmt::format("{}: found nothing in it, expected json", file));
  std::vector<std::set<std::string>> keys;
  auto refuse_duplicates = [&](int, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key) {
      const std::string key = parsed.get<std::string>();
      if (!keys.back().insert(key).second)
        throw InputError(
            fmt::format("{}: found the key '{}' twice in one object, expected it once", file, key));
    }
    return true;
  };
  try {
    auto document =
        std::make_shared<const Json>(Json::parse(text.begin(), text.end(), refuse_duplicates, true, true));
    return JsonValue(document, document.get(), std::make_shared<const std::string>(file), "");
  } catch (const Json::parse_error& error) {
    const auto [line, column] = position(text, error.byte == 0 ? 0 : error.byte - 1);
    std::string what = error.what();
    // "[json.exception.parse_error.101] parse error at line 1, column 2: syntax error while ..."
    if (const auto colon = what.find(": "); colon != std::string::npos) what = what.substr(colon + 2);
    throw InputError(fmt::format("{}:{}:{}: not valid json: {}", file, line, column, what));
  } catch (const Json::exception& error) {
    throw InputError(fmt::format("{}: not valid json: {}", file, error.what()));
  }
}

JsonValue JsonValue::read(const std::string& path) {
  return parse(read_text_file(path), path);
}

std::string JsonValue::where() const {
  return path_.empty() ? *file_ : fmt::format("{}: {}", *file_, path_);
}

void JsonValue::fail(const std::string& message) const {
  throw InputError(fmt::format("{}: {}", where(), message));
}

JsonValue JsonValue::child(const Json& node, std::string_view key) const {
  return JsonValue(document_, &node, file_,
                   path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key));
}

JsonObject JsonValue::object() const {
  if (!node_->is_object()) fail(describe(*node_) + ", expected an object");
  return JsonObject(*this);
}

std::vector<JsonValue> JsonValue::array() const {
  if (!node_->is_array()) fail(describe(*node_) + ", expected an array");
  std::vector<JsonValue> values;
  values.reserve(node_->size());
  for (std::size_t i = 0; i < node_->size(); ++i)
    values.push_back(JsonValue(document_, &(*node_)[i], file_, fmt::format("{}[{}]", path_, i)));
  return values;
}

std::string JsonValue::text() const {
  if (!node_->is_string()) fail(describe(*node_) + ", expected a string");
  return node_->get<std::string>();
}

bool JsonValue::boolean() const {
  if (!node_->is_boolean()) fail(describe(*node_) + ", expected true or false");
  return node_->get<bool>();
}

double JsonValue::number(Range range) const {
  const bool is_number = node_->is_number();
  const double value = is_number ? node_->get<double>() : 0;
  if (!is_number || !std::isfinite(value) || value < range.low || value > range.high)
    fail(fmt::format("{}, expected a number{}", describe(*node_), range_text(range)));
  return value;
}

std::int64_t JsonValue::integer(Range range) const {
  const bool is_number = node_->is_number();
  const double value = is_number ? node_->get<double>() : 0;
  constexpr double last_exact = 9007199254740991;  // 2^53 - 1
  if (!is_number || value != std::floor(value) || std::abs(value) > last_exact || value < range.low ||
      value > range.high)
    fail(fmt::format("{}, expected a whole number{}", describe(*node_), range_text(range)));
  return static_cast<std::int64_t>(value);
}

std::vector<double> JsonValue::numbers(Range range) const {
  std::vector<double> values;
  for (const JsonValue& item : array()) values.push_back(item.number(range));
  return values;
}

bool JsonValue::is_object() const {
  return node_->is_object();
}
bool JsonValue::is_array() const {
  return node_->is_array();
}
bool JsonValue::is_text() const {
  return node_->is_string();
}
bool JsonValue::is_number() const {
  return node_->is_number();
}
bool JsonValue::is_null() const {
  return node_->is_null();
}
std::string JsonValue::dump() const {
  return node_->dump();
}

bool JsonObject::has(std::string_view key) const {
  known_.emplace(key);
  return value_.node_->contains(std::string(key));
}

std::optional<JsonValue> JsonObject::find(std::string_view key) const {
  if (!has(key)) return std::nullopt;
  const Json& node = (*value_.node_)[std::string(key)];
  if (node.is_null()) return std::nullopt;
  return value_.child(node, key);
}

JsonValue JsonObject::at(std::string_view key) const {
  if (has(key)) return value_.child((*value_.node_)[std::string(key)], key);
  // A misspelt key is both missing and unknown: name the likely culprit at once.
  for (const auto& [found, unused] : value_.node_->items())
    if (known_.find(found) == known_.end() && nearest(found, {std::string(key)}))
      fail(fmt::format("found the unknown key '{}', did you mean '{}'", found, key));
  fail(fmt::format("expected the key '{}', which is missing", key));
}

std::string JsonObject::text_or(std::string_view key, std::string fallback) const {
  const auto found = find(key);
  return found ? found->text() : std::move(fallback);
}

double JsonObject::number_or(std::string_view key, double fallback, Range range) const {
  const auto found = find(key);
  return found ? found->number(range) : fallback;
}

std::int64_t JsonObject::integer_or(std::string_view key, std::int64_t fallback, Range range) const {
  const auto found = find(key);
  return found ? found->integer(range) : fallback;
}

bool JsonObject::boolean_or(std::string_view key, bool fallback) const {
  const auto found = find(key);
  return found ? found->boolean() : fallback;
}

std::size_t JsonObject::choice(std::string_view key, const std::vector<std::string>& choices) const {
  const JsonValue value = at(key);
  const std::string word = value.text();
  for (std::size_t i = 0; i < choices.size(); ++i)
    if (choices[i] == word) return i;
  value.fail(fmt::format("found \"{}\", expected one of {}{}", word, fmt::join(choices, ", "),
                         did_you_mean(word, choices)));
}

std::vector<std::pair<std::string, JsonValue>> JsonObject::entries() const {
  std::vector<std::pair<std::string, JsonValue>> all;
  for (const auto& [key, node] : value_.node_->items()) {
    known_.emplace(key);
    all.emplace_back(key, value_.child(node, key));
  }
  return all;
}

void JsonObject::finish() const {
  for (const auto& [key, node] : value_.node_->items()) {
    if (known_.find(key) != known_.end()) continue;
    const std::vector<std::string> known(known_.begin(), known_.end());
    const std::string hint = did_you_mean(key, known);
    value_.fail(
        fmt::format("found the unknown key '{}'{}", key,
                    hint.empty() ? fmt::format(", expected one of {}", fmt::join(known, ", ")) : hint));
  }
}

std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t d = distance(word, candidate);
    if (d < best_distance) {
      best_distance = d;
      best = candidate;
    }
  }
  return best ? best : fuller_name(word, known);
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& known) {
  const auto found = nearest(word, known);
  return found ? fmt::format(", did you mean '{}'", *found) : "";
}

}  // namespace sextant
