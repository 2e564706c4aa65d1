#include "calibrate/import/foreign.hpp"

#include <charconv>
#include <filesystem>
#include <optional>

#include "calibrate/import/row_gate.hpp"

namespace sextant {
namespace detail {

std::vector<std::string_view> words_of(std::string_view line) {
  constexpr std::string_view blanks = " \t\r";
  std::vector<std::string_view> words;
  for (std::size_t from; (from = line.find_first_not_of(blanks)) != std::string_view::npos;) {
    const std::size_t end = std::min(line.find_first_of(blanks, from), line.size());
    words.push_back(line.substr(from, end - from));
    line.remove_prefix(end);
  }
  return words;
}

std::string plain_line(std::string_view line) {
  for (const std::string_view tag : {"<stdout>:", "<stderr>:", "<stdout>", "<stderr>"})
    if (const std::size_t at = line.find(tag); at != std::string_view::npos && line.starts_with('[')) {
      line.remove_prefix(at + tag.size());
      break;
    }
  std::string text;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      while (i < line.size() && line[i] != 'm') ++i;
    } else {
      text += line[i];
    }
  }
  return text;
}

long long whole_number(std::string_view text) {
  long long value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 ? value : -1;
}

bool is_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{';
}

std::string source_of(const std::string& tool, const std::string& path) {
  return tool + ", " + std::filesystem::path(path).filename().string();
}

std::string value_after(std::string_view line, std::string_view key) {
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return "";
  const std::size_t colon = line.find(':', at + key.size());
  if (colon == std::string_view::npos || line.find_first_not_of(" \t", at + key.size()) != colon) return "";
  line.remove_prefix(colon + 1);
  const std::vector<std::string_view> words = words_of(line);
  return words.empty() ? "" : std::string(words.front());
}

}  // namespace detail

namespace {

/// The time of a row in us, where it has one.
struct TimeOfRow {
  template <class Row>
  std::optional<double> operator()(const Row& row) const {
    if constexpr (requires { static_cast<double>(row.us); })
      return row.us;
    else
      return std::nullopt;
  }
};

}  // namespace

void import_measurements(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                         const MeasurementSink& sink) {
  // A file may hold several GPUs; each is judged by its own data sheet.
  std::map<std::string, std::unique_ptr<RowGate>> gates;
  for_each_measurement(path, [&](const Measurement& measurement, std::size_t line) {
    std::unique_ptr<RowGate>& gate = gates[measurement.gpu.empty() ? origin.gpu : measurement.gpu];
    if (!gate) gate = std::make_unique<RowGate>(path, measurement.gpu, report, sink);
    const std::optional<double> us = std::visit(TimeOfRow(), measurement.row);
    if (us)
      gate->pass(measurement, *us, {line, "us"});
    else
      gate->pass_unjudged(measurement);
  });
  for (const auto& [gpu, gate] : gates) gate->finish();
}

}  // namespace sextant
