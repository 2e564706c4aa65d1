#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sextant {

/// Inclusive bounds of a number in an input file.
struct Range {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
};

class JsonObject;

/// One value of a JSON document, with the file and the path it stands at, so that every error can name both.
/// Cheap to copy; keeps the document alive.
class JsonValue {
 public:
  /// Parses `text` (comments allowed, duplicate keys refused). `file` is used in messages only.
  /// Throws InputError with line and column on a syntax error.
  static JsonValue parse(std::string_view text, const std::string& file);
  /// Reads and parses a file. Throws InputError if it is missing or unreadable.
  static JsonValue read(const std::string& path);

  JsonObject object() const;                            ///< throws InputError unless an object
  std::vector<JsonValue> array() const;                 ///< throws InputError unless an array
  std::string text() const;                             ///< throws InputError unless a string
  bool boolean() const;                                 ///< throws InputError unless true or false
  double number(Range range = {}) const;                ///< throws InputError unless a finite number in range
  std::int64_t integer(Range range = {}) const;         ///< throws InputError unless a whole number in range
  std::vector<double> numbers(Range range = {}) const;  ///< an array of numbers

  bool is_object() const;
  bool is_array() const;
  bool is_text() const;
  bool is_number() const;
  bool is_null() const;

  /// The value as compact JSON text (for echoing and for overrides).
  std::string dump() const;
  const nlohmann::json& json() const { return *node_; }
  /// "scenarios/a.json: cluster.nodes[1].gpus"
  std::string where() const;
  const std::string& file() const { return *file_; }
  const std::string& path() const { return path_; }
  /// Throws InputError "<where>: <message>".
  [[noreturn]] void fail(const std::string& message) const;

  JsonValue(std::shared_ptr<const nlohmann::json> document, const nlohmann::json* node,
            std::shared_ptr<const std::string> file, std::string path);

 private:
  friend class JsonObject;
  JsonValue child(const nlohmann::json& node, std::string_view key) const;
  std::shared_ptr<const nlohmann::json> document_;
  const nlohmann::json* node_;
  std::shared_ptr<const std::string> file_;
  std::string path_;
};

/// Strict reader of one JSON object: every key is asked for by name, and finish() refuses what nobody asked
/// for, naming the nearest known key. A caller that may ignore keys (a foreign file) simply never calls
/// finish().
class JsonObject {
 public:
  explicit JsonObject(JsonValue value) : value_(std::move(value)) {}

  bool has(std::string_view key) const;                       ///< marks the key as known
  JsonValue at(std::string_view key) const;                   ///< throws InputError if missing
  std::optional<JsonValue> find(std::string_view key) const;  ///< absent or null: nullopt

  std::string text(std::string_view key) const { return at(key).text(); }
  double number(std::string_view key, Range range = {}) const { return at(key).number(range); }
  std::int64_t integer(std::string_view key, Range range = {}) const { return at(key).integer(range); }
  bool boolean(std::string_view key) const { return at(key).boolean(); }

  std::string text_or(std::string_view key, std::string fallback) const;
  double number_or(std::string_view key, double fallback, Range range = {}) const;
  std::int64_t integer_or(std::string_view key, std::int64_t fallback, Range range = {}) const;
  bool boolean_or(std::string_view key, bool fallback) const;
  /// One of `choices`: returns its index. Throws InputError naming the choices and the nearest.
  std::size_t choice(std::string_view key, const std::vector<std::string>& choices) const;

  /// Every key with its value, in file order of nlohmann (sorted); marks all as known. For open maps.
  std::vector<std::pair<std::string, JsonValue>> entries() const;
  /// Throws InputError for the first key that nobody asked for, with the nearest known one.
  void finish() const;
  const JsonValue& value() const { return value_; }
  [[noreturn]] void fail(const std::string& message) const { value_.fail(message); }

 private:
  JsonValue value_;
  mutable std::set<std::string, std::less<>> known_;
};

/// The entry of `known` nearest to `word` by edit distance, if near enough to be a misspelling.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);
/// ", did you mean 'x'" or "".
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

}  // namespace sextant
