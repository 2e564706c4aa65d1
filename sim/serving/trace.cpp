#include <fmt/core.h>

#include <array>
#include <charconv>
#include <chrono>
#include <string_view>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

/// Where a row stands, for messages.
struct Row {
  const std::string& path;
  std::size_t line;
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}: line {}: {}", path, line, message));
  }
};

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> cells;
  for (;;) {
    const std::size_t comma = text.find(',');
    cells.push_back(text.substr(0, comma));
    if (comma == std::string_view::npos) return cells;
    text.remove_prefix(comma + 1);
  }
}

std::int64_t whole(std::string_view text, const Row& row, const char* what) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty())
    row.fail(fmt::format("found \"{}\" as {}, expected a whole number", text, what));
  return value;
}

/// "2023-11-16 18:17:03.9799600" as nanoseconds since 1970.
std::int64_t timestamp_ns(std::string_view text, const Row& row) {
  const auto bad = [&]() -> std::int64_t {
    row.fail(fmt::format("found the timestamp \"{}\", expected YYYY-MM-DD HH:MM:SS.fffffff", text));
  };
  constexpr std::size_t seconds_end = 19;
  if (text.size() < seconds_end || text[4] != '-' || text[7] != '-' || (text[10] != ' ' && text[10] != 'T') ||
      text[13] != ':' || text[16] != ':')
    return bad();
  const auto part = [&](std::size_t from, std::size_t size) -> std::int64_t {
    std::int64_t value = 0;
    const char* begin = text.data() + from;
    const auto [end, error] = std::from_chars(begin, begin + size, value);
    return error != std::errc() || end != begin + size ? bad() : value;
  };
  const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(part(0, 4))),
                                         std::chrono::month(static_cast<unsigned>(part(5, 2))),
                                         std::chrono::day(static_cast<unsigned>(part(8, 2)))};
  const std::int64_t hour = part(11, 2), minute = part(14, 2), second = part(17, 2);
  if (!date.ok() || hour > 23 || minute > 59 || second > 60) return bad();
  std::int64_t fraction = 0;
  if (text.size() > seconds_end) {
    const std::string_view digits = text.substr(seconds_end + 1);
    if (text[seconds_end] != '.' || digits.empty() || digits.size() > 9) return bad();
    fraction = part(seconds_end + 1, digits.size());
    for (std::size_t i = digits.size(); i < 9; ++i) fraction *= 10;
  }
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1'000'000'000 + fraction;
}

/// Checks what holds for every trace and appends; arrivals become relative to the first.
class Collector {
 public:
  void add(std::int64_t ns, Request request, const Row& row) {
    if (requests_.empty()) first_ns_ = ns;
    if (request.prompt_tokens < 1 || request.prompt_tokens > most_tokens)
      row.fail(fmt::format("found a prompt of {} tokens, expected from 1 to {}", request.prompt_tokens, most_tokens));
    if (request.output_tokens < 1 || request.output_tokens > most_tokens)
      row.fail(fmt::format("found an output of {} tokens, expected from 1 to {}", request.output_tokens, most_tokens));
    request.arrival = {ns - first_ns_};
    if (!requests_.empty() && request.arrival < requests_.back().arrival)
      row.fail("found a timestamp before the previous line's, expected them sorted");
    requests_.push_back(std::move(request));
  }
  std::vector<Request> take(const std::string& path) {
    if (requests_.empty()) throw InputError(path + ": found no request, expected at least one");
    return std::move(requests_);
  }

 private:
  static constexpr std::int64_t most_tokens = 100'000'000;
  std::vector<Request> requests_;
  std::int64_t first_ns_ = 0;
};

std::vector<Request> read_azure(const std::string& path) {
  Collector collector;
  const std::array<std::string_view, 3> names = {"TIMESTAMP", "ContextTokens", "GeneratedTokens"};
  std::array<std::size_t, 3> column{};
  std::size_t columns = 0;
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    const Row row{path, number};
    if (text.empty()) return;
    const std::vector<std::string_view> cells = split(text);
    if (columns == 0) {
      columns = cells.size();
      for (std::size_t i = 0; i < names.size(); ++i) {
        column[i] = 0;
        while (column[i] < columns && cells[column[i]] != names[i]) ++column[i];
        if (column[i] == columns) row.fail(fmt::format("found no column {} in the header", names[i]));
      }
      return;
    }
    if (cells.size() != columns) row.fail(fmt::format("found {} columns, expected {}", cells.size(), columns));
    Request request;
    request.prompt_tokens = whole(cells[column[1]], row, "ContextTokens");
    request.output_tokens = whole(cells[column[2]], row, "GeneratedTokens");
    collector.add(timestamp_ns(cells[column[0]], row), std::move(request), row);
  });
  return collector.take(path);
}

std::vector<Request> read_mooncake(const std::string& path) {
  Collector collector;
  for_each_line(path, [&](std::string_view text, std::size_t number) {
    if (text.empty()) return;
    const Row row{path, number};
    const JsonObject object = JsonValue::parse(text, fmt::format("{}: line {}", path, number)).object();
    Request request;
    request.prompt_tokens = object.integer("input_length");
    request.output_tokens = object.integer("output_length");
    if (const auto blocks = object.find("hash_ids"))
      for (const JsonValue& block : blocks->array()) request.prefix_blocks.push_back(block.integer());
    const std::int64_t ms = object.integer("timestamp", {0, 9e12});
    collector.add(ms * 1'000'000, std::move(request), row);
  });
  return collector.take(path);
}

}  // namespace

std::vector<Request> read_trace(const std::string& path, const std::string& format) {
  return format == "azure" ? read_azure(path) : read_mooncake(path);
}

}  // namespace sextant
