#include <fmt/core.h>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/row_gate.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

constexpr double bytes_per_us_of_gbps = 1e3;
constexpr std::string_view gigabytes = "bandwidth (GB/s)";

/// What a test case copies, our word; empty for one that is no copy of one pair in one direction.
std::string direction_of(std::string_view test) {
  if (test.find("bidirectional") != std::string_view::npos || test.find("latency") != std::string_view::npos)
    return "";
  if (test.starts_with("host_to_device_memcpy")) return "h2d";
  if (test.starts_with("device_to_host_memcpy")) return "d2h";
  if (test.starts_with("device_to_device_memcpy")) return "d2d";
  return "";
}

/// Passes the cells of matrices on.
class Matrices {
 public:
  Matrices(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
           const MeasurementSink& sink)
      : path_(path), origin_(origin), gate_(path, origin.gpu, report, sink) {}

  void start(const std::string& test) {
    test_ = test;
    direction_ = direction_of(test);
    ++tests_;
  }
  const std::string& test() const { return test_; }

  void cell(long long row, std::size_t column, std::string_view text, const RowPlace& place) {
    // The pair of a GPU with itself is not measured.
    if (text == "N/A" || (direction_ == "d2d" && row == static_cast<long long>(column))) return;
    if (direction_.empty())
      return gate_.leave_out(fmt::format("of {}, which is no copy of one pair in one direction", test_),
                             place);
    const auto gbps = gate_.positive(text, place);
    if (!gbps) return;
    if (bytes_ <= 0)
      throw InputError(
          fmt::format("{}: the size of the buffer is not in nvbandwidth's output, expected --bytes 536870912 "
                      "or what --bufferSize was",
                      path_));
    const double us = bytes_ / (*gbps * bytes_per_us_of_gbps);
    Measurement measurement{origin_.gpu, detail::source_of("nvbandwidth", path_), note(row, column),
                            CopyRow{direction_, bytes_, us}};
    gate_.pass(measurement, us, place);
  }

  void buffer(double bytes) { bytes_ = bytes; }
  void finish() {
    if (tests_ == 0)
      throw InputError(fmt::format("{}: found no test case, expected nvbandwidth's output", path_));
    gate_.finish();
  }

 private:
  std::string note(long long row, std::size_t column) const {
    if (direction_ == "d2d") return fmt::format("{}: GPU {} and GPU {}", test_, row, column);
    return fmt::format("{}: GPU {}", test_, column);
  }

  const std::string& path_;
  const ForeignOrigin& origin_;
  RowGate gate_;
  std::string test_, direction_;
  double bytes_ = 0;
  int tests_ = 0;
};

class TextReader {
 public:
  TextReader(const std::string& path, Matrices& matrices) : path_(path), matrices_(matrices) {}

  void line(const std::string& text, std::size_t number) {
    const auto words = detail::words_of(text);
    if (words.empty() || words.front() == "SUM") {
      columns_ = 0;
      return;
    }
    if (words.size() == 2 && words.front() == "Running") return start(words[1]);
    if (matrices_.test().empty()) return;
    if (text.find("(row)") != std::string::npos) return unit(text, number);
    if (!expected_ || detail::whole_number(words.front()) < 0) return;
    if (columns_ == 0) {
      columns_ = words.size();
      return;
    }
    if (words.size() != columns_ + 1)
      throw InputError(fmt::format("{}:{}: found {} cells, expected {} as in the line above the matrix",
                                   path_, number, words.size() - 1, columns_));
    for (std::size_t column = 0; column < columns_; ++column) {
      const std::string name = std::to_string(column);
      matrices_.cell(detail::whole_number(words.front()), column, words[column + 1], {number, name});
    }
  }

 private:
  void start(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    matrices_.start(std::string(name));
    expected_ = false;
    columns_ = 0;
  }

  void unit(const std::string& text, std::size_t number) {
    expected_ = text.find(gigabytes) != std::string::npos;
    columns_ = 0;
    if (!expected_ && !direction_of(matrices_.test()).empty())
      throw InputError(fmt::format("{}:{}: found '{}', expected '{}'", path_, number, text, gigabytes));
  }

  const std::string& path_;
  Matrices& matrices_;
  bool expected_ = false;  ///< a matrix in GB/s
  std::size_t columns_ = 0;
};

void read_json(const JsonObject& document, Matrices& matrices) {
  const JsonObject root = document.at("nvbandwidth").object();
  for (const JsonValue& entry : root.at("testcases").array()) {
    const JsonObject test = entry.object();
    matrices.start(test.text("name"));
    const auto matrix = test.find("bandwidth_matrix");
    if (!matrix) continue;
    if (const std::string unit = test.text_or("bandwidth_description", std::string(gigabytes));
        !direction_of(matrices.test()).empty() && unit.find(gigabytes) == std::string::npos)
      test.at("bandwidth_description").fail(fmt::format("found \"{}\", expected '{}'", unit, gigabytes));
    long long row = 0;
    for (const JsonValue& cells : matrix->array()) {
      std::size_t column = 0;
      for (const JsonValue& cell : cells.array()) {
        const std::string path = cell.path();
        matrices.cell(row, column++, cell.is_text() ? cell.text() : fmt::format("{}", cell.number()),
                      {0, path});
      }
      ++row;
    }
  }
}

}  // namespace

void import_nvbandwidth(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                        const MeasurementSink& sink) {
  Matrices matrices(path, origin, report, sink);
  matrices.buffer(origin.bytes);
  const std::string text = read_text_file(path);
  if (detail::is_json(text)) {
    read_json(JsonValue::parse(text, path).object(), matrices);
  } else {
    TextReader reader(path, matrices);
    for_each_line(path, [&](std::string_view line, std::size_t number) {
      reader.line(detail::plain_line(line), number);
    });
  }
  matrices.finish();
}

}  // namespace sextant
