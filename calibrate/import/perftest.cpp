#include <fmt/core.h>

#include "calibrate/import/perftest_run.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

using detail::PerftestRun;
using detail::PerftestUnit;
using Words = std::vector<std::string_view>;

constexpr long long most_queue_pairs = 1 << 24;

int small_number(const std::string& text, const std::string& where) {
  const long long value = detail::whole_number(text.substr(0, text.find('[')));
  if (value < 1 || value > most_queue_pairs)
    throw InputError(fmt::format("{}: found '{}', expected a whole number of at least 1", where, text));
  return static_cast<int>(value);
}

class TextReader {
 public:
  TextReader(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
             const MeasurementSink& sink)
      : path_(path),
        source_(detail::source_of("perftest", path)),
        origin_(origin),
        gate_(path, origin.gpu, report, sink) {}

  void line(const std::string& text, std::size_t number) {
    line_ = number;
    const std::string where = fmt::format("{}:{}", path_, line_);
    const Words words = detail::words_of(text);
    if (words.empty()) return;
    if (run_.name_test(text, where)) return start();
    if (words.front() == "#bytes") return header(text, words);
    if (const auto device = detail::value_after(text, "Device"); !device.empty()) run_.device = device;
    if (const auto qps = detail::value_after(text, "Number of qps"); !qps.empty())
      run_.qps = small_number(qps, where);
    if (const auto mtu = detail::value_after(text, "Mtu"); !mtu.empty()) run_.mtu = small_number(mtu, where);
    if (text.find("GPU buffer") != std::string::npos || text.find("initializing CUDA") != std::string::npos)
      gpu_memory_ = true;
    if (detail::whole_number(words.front()) < 0) return;
    if (!header_seen_) return;
    row(words);
  }

  void finish() {
    if (!header_seen_)
      throw InputError(
          fmt::format("{}: found no header '#bytes #iterations …', expected perftest's output", path_));
    gate_.finish();
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}:{}: {}", path_, line_, message));
  }

  void start() { header_seen_ = false; }

  void header(const std::string& text, const Words& words) {
    header_seen_ = true;
    has_message_rate_ = text.find("MsgRate[Mpps]") != std::string::npos;
    time_column_ = 0;
    if (run_.test == "lat") return latency_header(words);
    constexpr std::string_view average = "BW average[";
    const std::size_t at = text.find(average);
    if (at == std::string::npos) fail("found another header, expected the column 'BW average[…]'");
    const std::size_t end = std::min(text.find(']', at), text.size());
    const std::string unit = text.substr(at + average.size(), end - at - average.size());
    if (unit == "MB/sec" || unit == "MiB/sec")
      unit_ = PerftestUnit::megabytes;
    else if (unit == "Gb/sec")
      unit_ = PerftestUnit::gigabits;
    else
      fail(fmt::format("found the unit '{}', expected one of MB/sec, MiB/sec, Gb/sec", unit));
  }

  /// The median where it is printed; a run for a given time has the average alone.
  void latency_header(const Words& words) {
    for (const char* name : {"t_typical[usec]", "t_avg[usec]"})
      for (std::size_t i = 0; i < words.size() && time_column_ == 0; ++i)
        if (words[i] == name) time_column_ = i;
    if (time_column_ == 0) fail("found another header, expected the column t_typical[usec] or t_avg[usec]");
  }

  void row(const Words& words) {
    run_.gpu_memory = gpu_memory_;
    const auto bytes = static_cast<double>(detail::whole_number(words.front()));
    if (bytes == 0) fail("found messages of 0 bytes, expected at least 1");
    if (run_.test == "lat") {
      if (words.size() <= time_column_) fail(fmt::format("found {} columns, expected more", words.size()));
      const RowPlace place{line_, "t_typical"};
      if (const auto us = gate_.positive(words[time_column_], place))
        detail::pass_perftest(gate_, run_, origin_, source_, bytes, std::nullopt, us, place);
      return;
    }
    constexpr std::size_t average = 3, messages = 4;
    if (words.size() <= (has_message_rate_ ? messages : average))
      fail(fmt::format("found {} columns, expected {}", words.size(), has_message_rate_ ? 5 : 4));
    const RowPlace place{line_, "BW average"};
    const auto rate = gate_.positive(words[average], place);
    if (!rate) return;
    if (has_message_rate_) check(bytes, *rate, words[messages]);
    detail::pass_perftest(gate_, run_, origin_, source_, bytes, detail::perftest_gbps(*rate, unit_),
                          std::nullopt, place);
  }

  void check(double bytes, double rate, std::string_view cell) {
    const auto messages = gate_.positive(cell, {line_, "MsgRate"});
    if (!messages)
      fail(fmt::format("found the message rate '{}' beside a bandwidth, expected a number above 0", cell));
    if (detail::agreeing_unit(rate, *messages, bytes) != unit_)
      fail(fmt::format(
          "found a bandwidth of {:.6g} {} and {:.6g} million messages of {} B a second, which do not agree; "
          "is one of them in another unit?",
          rate, unit_ == PerftestUnit::gigabits ? "Gb/sec" : "MB/sec", *messages, bytes));
  }

  const std::string& path_;
  std::string source_;
  const ForeignOrigin& origin_;
  RowGate gate_;
  PerftestRun run_;
  PerftestUnit unit_ = PerftestUnit::megabytes;
  bool header_seen_ = false, has_message_rate_ = false, gpu_memory_ = false;
  std::size_t time_column_ = 0, line_ = 0;
};

class JsonReader {
 public:
  JsonReader(const std::string& path, const ForeignOrigin& origin, RowGate& gate)
      : source_(detail::source_of("perftest", path)), origin_(origin), gate_(gate) {}

  void document(const JsonObject& document) {
    const JsonObject info = document.at("test_info").object();
    const JsonValue title = info.at("test");
    if (!run_.name_test(title.text(), title.where()))
      title.fail(fmt::format("found \"{}\", expected a bandwidth or latency test", title.text()));
    run_.device = info.text("Device");
    run_.qps = static_cast<int>(info.integer("Number_of_qps", {1, most_queue_pairs}));
    run_.mtu = static_cast<int>(info.integer("Mtu", {1, most_queue_pairs}));
    run_.gpu_memory = info.has("cuda_device") || info.text_or("Use_CUDA_memory", "OFF") == "ON";
    if (document.has("results_local")) document.fail("found a bidirectional test, expected one direction");
    const JsonValue results = document.at("results");
    if (results.is_array())
      for (const JsonValue& row : results.array()) result(row.object());
    else
      result(results.object());
  }

 private:
  void result(const JsonObject& row) {
    const auto bytes = static_cast<double>(row.integer("MsgSize", {1}));
    if (run_.test == "lat") {
      const char* key = row.has("t_typical") ? "t_typical" : "t_avg";
      const JsonValue time = row.at(key);
      const std::string& path = time.path();
      const RowPlace place{0, path};
      if (const auto us = gate_.positive(fmt::format("{}", time.number()), place))
        detail::pass_perftest(gate_, run_, origin_, source_, bytes, std::nullopt, us, place);
      return;
    }
    const JsonValue average = row.at("BW_average");
    const std::string& path = average.path();
    const RowPlace place{0, path};
    const auto rate = gate_.positive(fmt::format("{}", average.number()), place);
    if (!rate) return;
    const double messages = row.number("MsgRate", {0});
    const auto unit = detail::agreeing_unit(*rate, messages, bytes);
    if (!unit)
      average.fail(fmt::format(
          "found {:.6g} and {:.6g} million messages of {} B a second, which agree neither in MB/sec "
          "nor in Gb/sec",
          *rate, messages, bytes));
    detail::pass_perftest(gate_, run_, origin_, source_, bytes, detail::perftest_gbps(*rate, *unit),
                          std::nullopt, place);
  }

  std::string source_;
  const ForeignOrigin& origin_;
  RowGate& gate_;
  PerftestRun run_;
};

}  // namespace

void import_perftest(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                     const MeasurementSink& sink) {
  const std::string text = read_text_file(path);
  if (detail::is_json(text)) {
    RowGate gate(path, origin.gpu, report, sink);
    JsonReader(path, origin, gate).document(JsonValue::parse(text, path).object());
    gate.finish();
    return;
  }
  TextReader reader(path, origin, report, sink);
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    reader.line(detail::plain_line(line), number);
  });
  reader.finish();
}

}  // namespace sextant
