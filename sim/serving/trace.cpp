#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string_view>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

constexpr std::int64_t most_tokens = 100'000'000;
constexpr std::int64_t ns_per_ms = 1'000'000;
constexpr double latest_ms = 9e12;  // 285 years: in nanoseconds still a 64-bit number

/// Where a row stands, for messages.
struct Row {
  const std::string& path;
  std::size_t line;
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}: line {}: {}", path, line, message));
  }
};

/// Splits at commas into `cells`, whose memory is used again for the next line.
void split(std::string_view text, std::vector<std::string_view>& cells) {
  cells.clear();
  for (;;) {
    const std::size_t comma = text.find(',');
    cells.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return;
    text.remove_prefix(comma + 1);
  }
}

std::int64_t whole(std::string_view text, const Row& row, std::string_view column) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    row.fail(fmt::format("found \"{}\" in column {}, expected a whole number", text, column));
  return value;
}

/// The digits at [from, from + size) as a number; -1 where one is no digit or missing.
std::int64_t digits(std::string_view text, std::size_t from, std::size_t size) {
  if (from + size > text.size()) return -1;
  std::int64_t value = 0;
  for (const char digit : text.substr(from, size)) {
    if (digit < '0' || digit > '9') return -1;
    value = value * 10 + (digit - '0');
  }
  return value;
}

/// "2023-11-16 18:17:03.9799600" as nanoseconds since 1970; up to 9 decimals or none; nullopt if it is
/// anything else.
std::optional<std::int64_t> timestamp_ns(std::string_view text) {
  constexpr std::size_t seconds_end = 19, most_decimals = 9;
  if (text.size() < seconds_end || text[4] != '-' || text[7] != '-' || (text[10] != ' ' && text[10] != 'T') ||
      text[13] != ':' || text[16] != ':')
    return std::nullopt;
  const std::int64_t year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  const std::int64_t hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
  if (year < 1970 || year > 2200 || month < 1 || day < 1) return std::nullopt;
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 59) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(year)),
                                         std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return std::nullopt;
  std::int64_t fraction = 0;
  if (text.size() > seconds_end) {
    const std::size_t decimals = text.size() - seconds_end - 1;
    fraction = digits(text, seconds_end + 1, decimals);
    if (text[seconds_end] != '.' || decimals < 1 || decimals > most_decimals || fraction < 0)
      return std::nullopt;
    for (std::size_t i = decimals; i < most_decimals; ++i) fraction *= 10;
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1'000'000'000 + fraction;
}

/// Checks what holds for every trace and appends; arrivals become relative to the first.
class Collector {
 public:
  void add(std::int64_t ns, Request request, const Row& row) {
    check_tokens(request.prompt_tokens, "a prompt", row);
    check_tokens(request.output_tokens, "an output", row);
    if (requests_.empty()) first_ns_ = ns;
    request.arrival = {ns - first_ns_};
    if (!requests_.empty() && request.arrival < requests_.back().arrival)
      row.fail(fmt::format("found a timestamp {} ns before the row above it, expected them sorted",
                           (requests_.back().arrival - request.arrival).ns));
    requests_.push_back(std::move(request));
  }

  std::vector<Request> take(const std::string& path) {
    if (requests_.empty()) throw InputError(path + ": found no requests, expected at least one");
    return std::move(requests_);
  }

 private:
  static void check_tokens(std::int64_t tokens, const char* what, const Row& row) {
    if (tokens < 0 || tokens > most_tokens)
      row.fail(fmt::format("found {} of {} tokens, expected from 0 to {}", what, tokens, most_tokens));
  }

  std::vector<Request> requests_;
  std::int64_t first_ns_ = 0;
};

/// Seconds since some beginning, "5" or "5.25", as nanoseconds; nullopt if it is anything else.
std::optional<std::int64_t> seconds_ns(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size() || !(seconds >= 0) ||
      seconds * 1e3 > latest_ms)
    return std::nullopt;
  return std::llround(seconds * 1e9);
}

/// What sets one CSV trace apart from another.
struct CsvFormat {
  std::array<std::string_view, 3> columns;  ///< time, prompt tokens, output tokens
  std::string_view time_form;               ///< in words
  std::optional<std::int64_t> (*time_ns)(std::string_view);
};

constexpr CsvFormat azure_format{{"TIMESTAMP", "ContextTokens", "GeneratedTokens"},
                                 "YYYY-MM-DD HH:MM:SS.fffffff without time zone",
                                 timestamp_ns};
constexpr CsvFormat burstgpt_format{
    {"Timestamp", "Request tokens", "Response tokens"}, "seconds from 0 on", seconds_ns};

/// Reads the header once, then rows.
class CsvTraceReader {
 public:
  explicit CsvTraceReader(const CsvFormat& format) : format_(format) {}

  void line(std::string_view text, const Row& row) {
    if (text.empty()) return;
    split(text, cells_);
    if (columns_ == 0) return read_header(row);
    if (cells_.size() != columns_)
      row.fail(fmt::format("found {} columns, expected {}", cells_.size(), columns_));
    const std::string_view time = cells_[column_[0]];
    const std::optional<std::int64_t> ns = format_.time_ns(time);
    if (!ns) row.fail(fmt::format("found the timestamp \"{}\", expected {}", time, format_.time_form));
    Request request;
    request.prompt_tokens = whole(cells_[column_[1]], row, format_.columns[1]);
    request.output_tokens = whole(cells_[column_[2]], row, format_.columns[2]);
    requests_.add(*ns, std::move(request), row);
  }
  std::vector<Request> take(const std::string& path) { return requests_.take(path); }

 private:
  void read_header(const Row& row) {
    columns_ = cells_.size();
    const auto& names = format_.columns;
    for (std::size_t i = 0; i < names.size(); ++i) {
      while (column_[i] < columns_ && cells_[column_[i]] != names[i]) ++column_[i];
      if (column_[i] == columns_)
        row.fail(fmt::format("found no column {}, expected the header {},{},{}", names[i], names[0], names[1],
                             names[2]));
    }
  }

  const CsvFormat& format_;
  std::vector<std::string_view> cells_;
  std::array<std::size_t, 3> column_{};  ///< where each of the format's columns stands
  std::size_t columns_ = 0;              ///< 0: the header is still to come
  Collector requests_;
};

std::vector<Request> read_csv(const std::string& path, const CsvFormat& format) {
  CsvTraceReader reader(format);
  for_each_line(path, [&](std::string_view text, std::size_t number) { reader.line(text, {path, number}); });
  return reader.take(path);
}

/// Dozens a row: the document is read directly, and only one at fault by the reader that names it.
std::vector<std::uint64_t> whole_numbers(const JsonValue& value) {
  if (!value.is_array()) value.array();
  std::vector<std::uint64_t> numbers;
  numbers.reserve(value.json().size());
  for (const auto& item : value.json()) {
    if (!item.is_number_integer()) value.array()[numbers.size()].integer();
    numbers.push_back(static_cast<std::uint64_t>(item.get<std::int64_t>()));
  }
  return numbers;
}

/// Mooncake's hash_ids name the prompt's blocks, of which the last may be partly filled; outputs have none.
PromptBlocks mooncake_blocks(const JsonValue& hash_ids, std::int64_t prompt_tokens) {
  PromptBlocks blocks;
  auto names = std::make_shared<const std::vector<std::uint64_t>>(whole_numbers(hash_ids));
  blocks.named_tokens =
      std::min(prompt_tokens, static_cast<std::int64_t>(names->size()) * blocks.hash_block_tokens);
  blocks.names = std::move(names);
  return blocks;
}

std::vector<Request> read_mooncake(const std::string& path) {
  Collector requests;
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    if (text.empty()) return;
    const JsonObject object = JsonValue::parse(text, fmt::format("{}: line {}", path, number)).object();
    Request request;
    request.prompt_tokens = object.integer("input_length");
    request.output_tokens = object.integer("output_length");
    if (const auto ids = object.find("hash_ids"))
      request.prompt_blocks = mooncake_blocks(*ids, request.prompt_tokens);
    const std::int64_t ms = object.integer("timestamp", {0, latest_ms});
    requests.add(ms * ns_per_ms, std::move(request), {path, number});
  });
  return requests.take(path);
}

}  // namespace

std::vector<Request> read_trace(const std::string& path, const std::string& format,
                                double characters_per_token) {
  if (format == "azure") return read_csv(path, azure_format);
  if (format == "burstgpt") return read_csv(path, burstgpt_format);
  if (format == "mooncake") return read_mooncake(path);
  if (format == "sharegpt") return read_sharegpt(path, characters_per_token);
  throw InputError(fmt::format(
      "{}: found the trace format \"{}\", expected azure, burstgpt, mooncake or sharegpt", path, format));
}

}  // namespace sextant
