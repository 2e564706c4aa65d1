#include <fmt/core.h>

#include <cmath>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/row_gate.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

constexpr double bits_per_gbit = 1e9, bits_per_byte = 8;

/// Refuses what is no finished TCP test in one direction.
void check(const JsonObject& document) {
  if (const auto error = document.find("error"))
    error->fail(fmt::format("found \"{}\", expected a finished test", error->text()));
  const JsonObject start = document.at("start").object();
  if (const auto test = start.find("test_start")) {
    const std::string protocol = test->object().text_or("protocol", "TCP");
    if (protocol != "TCP")
      test->object().at("protocol").fail(fmt::format("found \"{}\", expected \"TCP\"", protocol));
  }
  const JsonObject end = document.at("end").object();
  if (end.has("sum_received_bidir_reverse"))
    end.fail("found a test of both directions at once, expected one direction");
}

int streams_of(const JsonObject& document) {
  const JsonObject start = document.at("start").object();
  if (const auto test = start.find("test_start"))
    if (const auto streams = test->object().find("num_streams"))
      return static_cast<int>(streams->integer({1, 1 << 16}));
  const JsonObject end = document.at("end").object();
  const std::size_t streams = end.at("streams").array().size();
  if (streams == 0) end.at("streams").fail("found no stream, expected at least one");
  return static_cast<int>(streams);
}

}  // namespace

void import_iperf3(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                   const MeasurementSink& sink) {
  const std::string text = read_text_file(path);
  if (const std::size_t first = text.find_first_not_of(" \t\r\n");
      first != std::string::npos && text[first] != '{')
    throw InputError(fmt::format("{}: found text, expected the JSON of iperf3 -J", path));
  const JsonObject document = JsonValue::parse(text, path).object();
  check(document);
  const JsonObject end = document.at("end").object();
  const JsonObject received = end.at("sum_received").object();
  const double bits = received.number("bits_per_second", {1});
  if (received.has("bytes") && received.has("seconds")) {
    const double seconds = received.number("seconds", {1e-6, 1e9});
    const double expected = received.number("bytes", {0}) * bits_per_byte / seconds;
    if (std::abs(bits - expected) > shipped_import_limits().rates_agree * std::max(bits, expected))
      received.at("bits_per_second")
          .fail(fmt::format("found {:.6g}, expected {:.6g} by bytes and seconds", bits, expected));
  }
  Measurement measurement{origin.gpu, detail::source_of("iperf3", path), "",
                          TcpRow{streams_of(document), bits / bits_per_gbit, {}}};
  if (const auto sent = end.find("sum_sent"))
    if (const auto retransmits = sent->object().find("retransmits"))
      measurement.note = fmt::format("{} retransmits", retransmits->integer({0}));
  RowGate gate(path, origin.gpu, report, sink);
  gate.pass_unjudged(measurement);
  gate.finish();
}

}  // namespace sextant
