#include <fmt/core.h>

#include <charconv>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/nccl_log_facts.hpp"
#include "calibrate/import/nccl_tests_job.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
void import_nccl_tests_json(const std::string& text, const std::string& path, const ForeignOrigin&,
                            ImportReport&, const MeasurementSink&);

namespace {

using detail::NcclTestsCell;
using detail::NcclTestsJob;
using Words = std::vector<std::string_view>;

constexpr std::size_t absent = static_cast<std::size_t>(-1);

/// Where the columns of a result line stand; the out-of-place half comes first.
struct Columns {
  std::size_t size = absent, type = absent, redop = absent, width = 0;
  std::vector<std::size_t> time, algorithm, bus, wrong;
};

std::optional<double> decimal(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

class TextReader {
 public:
  TextReader(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
             const MeasurementSink& sink)
      : path_(path), origin_(origin), gate_(path, origin.gpu, report, sink) {}

  void line(const std::string& text, std::size_t number) {
    line_ = number;
    if (log_.read(text)) return;
    const Words words = detail::words_of(text);
    if (words.empty()) return;
    if (words.front().starts_with('#')) return comment(text, words);
    if (columns_.width == 0) return;
    if (detail::whole_number(words.front()) < 0) return;
    row(words);
  }

  void finish() {
    if (columns_.width == 0)
      throw InputError(
          fmt::format("{}: found no header '# size count type … time algbw busbw', expected nccl-tests' "
                      "output",
                      path_));
    gate_.finish();
  }

 private:
  [[noreturn]] void fail(const std::string& message) const {
    throw InputError(fmt::format("{}:{}: {}", path_, line_, message));
  }

  void comment(const std::string& text, const Words& words) {
    constexpr std::string_view starting = "# Collective test starting: ";
    if (text.starts_with(starting)) {
      new_job();
      job_.name_test(text.substr(starting.size()), fmt::format("{}:{}", path_, line_));
    } else if (words.size() > 1 && words[1] == "nThread") {
      if (job_.ranks > 0) new_job();
    } else if (words.size() > 8 && words[1] == "Rank") {
      device(words);
    } else if (words.size() > 3 && words[1] == "size" && words[2] == "count") {
      header(words);
    } else if (words.size() > 3 && words[1] == "(B)") {
      units(words);
    }
  }

  void new_job() {
    job_ = NcclTestsJob();
    columns_ = Columns();
  }

  /// "#  Rank  0 Group  0 Pid   1887 on   worker-1 device  0 [0x8d] NVIDIA H100 80GB HBM3"
  void device(const Words& words) {
    const long long rank = detail::whole_number(words[2]);
    if (rank != job_.ranks)
      fail(fmt::format("found rank {}, expected {}: are these several runs, of a binary built without MPI?",
                       words[2], job_.ranks));
    ++job_.ranks;
    std::string gpu;
    for (std::size_t i = 3; i < words.size(); ++i) {
      if (words[i - 1] == "on" && i + 1 < words.size() && words[i + 1] == "device")
        job_.hosts.insert(std::string(words[i]));
      if (!gpu.empty() || words[i - 1].ends_with(']')) gpu.append(gpu.empty() ? "" : " ").append(words[i]);
    }
    if (!gpu.empty()) job_.gpus.insert(gpu);
  }

  void header(const Words& words) {
    columns_ = Columns();
    columns_.width = words.size() - 1;
    for (std::size_t i = 1; i < words.size(); ++i) {
      const std::string_view word = words[i];
      if (word == "size") columns_.size = i - 1;
      if (word == "type") columns_.type = i - 1;
      if (word == "redop") columns_.redop = i - 1;
      if (word == "time") columns_.time.push_back(i - 1);
      if (word == "algbw") columns_.algorithm.push_back(i - 1);
      if (word == "busbw") columns_.bus.push_back(i - 1);
      if (word == "#wrong" || word == "error") columns_.wrong.push_back(i - 1);
      if (word == "cputime")
        fail("found the column 'cputime', expected 'time': the host's time is not the operation's");
    }
    if (columns_.size == absent || columns_.type == absent || columns_.time.empty() ||
        columns_.algorithm.size() != columns_.time.size() || columns_.bus.size() != columns_.time.size() ||
        columns_.wrong.size() != columns_.time.size())
      fail("found another header, expected the columns size, type, time, algbw, busbw and #wrong");
    prepare();
  }

  void units(const Words& words) const {
    for (const std::string_view word : words)
      if (word.starts_with('(') && word != "(B)" && word != "(elements)" && word != "(us)" &&
          word != "(GB/s)" && word != "(%)")
        fail(fmt::format("found the unit {}, expected (B), (us) and (GB/s)", word));
  }

  /// What a job is, once its header has been read.
  void prepare() {
    detail::expect_told(job_, origin_, fmt::format("{}:{}", path_, line_));
    if (job_.operation.empty()) job_.operation = origin_.operation;
    if (job_.operation.empty())
      fail(
          "the operation is not named, expected --op all_reduce or another (nccl-tests before 2.17 do not "
          "say)");
    if (job_.ranks < 2)
      fail(fmt::format("found {} ranks above, expected at least 2 lines '# Rank …'", job_.ranks));
  }

  /// NCCL prints what it chose between the header and the first row.
  void learn_from_log() {
    if (job_.hosts.size() > 1) {
      job_.gdr = log_.gdr();
      job_.link = log_.link();
    }
    job_.nvls = log_.nvls();
    job_.link = detail::link_of(job_, origin_, path_);
  }

  void row(Words words) {
    // Older versions print nothing where an operation reduces nothing.
    if (words.size() + 1 == columns_.width && columns_.redop != absent)
      words.insert(words.begin() + static_cast<std::ptrdiff_t>(columns_.redop), "none");
    // A time stamp may follow the last column.
    if (words.size() < columns_.width)
      fail(fmt::format("found {} columns, expected {} as in the header", words.size(), columns_.width));
    learn_from_log();
    Measurement measurement{origin_.gpu, detail::source_of("nccl-tests", path_), "", {}};
    for (std::size_t half = 0; half < columns_.time.size(); ++half) cell(words, half, measurement);
  }

  void cell(const Words& words, std::size_t half, const Measurement& measurement) {
    const RowPlace place{line_, half == 0 ? "out-of-place time" : "in-place time"};
    const std::string_view wrong = words[columns_.wrong[half]], time = words[columns_.time[half]];
    if (const auto errors = decimal(wrong); wrong != "N/A" && (!errors || *errors != 0))
      return gate_.exclude("with wrong results", place,
                           fmt::format("found {} wrong values, expected 0", wrong));
    NcclTestsCell cell;
    cell.bytes = static_cast<double>(std::max(0LL, detail::whole_number(words[columns_.size])));
    if (cell.bytes == 0) return gate_.leave_out("of size 0, which move nothing", place);
    const auto us = gate_.positive(time, place);
    if (!us) return;
    const auto algorithm = decimal(words[columns_.algorithm[half]]), bus = decimal(words[columns_.bus[half]]);
    if (!algorithm || !bus) fail("found no number under algbw or busbw");
    cell.us = *us;
    cell.algorithm_gbps = *algorithm;
    cell.bus_gbps = *bus;
    cell.type = words[columns_.type];
    cell.in_place = half > 0;
    cell.exact_time = time.find('e') == std::string_view::npos;
    detail::pass_cell(gate_, job_, cell, measurement, place);
  }

  const std::string& path_;
  const ForeignOrigin& origin_;
  RowGate gate_;
  NcclTestsJob job_;
  NcclLogFacts log_;
  Columns columns_;
  std::size_t line_ = 0;
};

}  // namespace

void import_nccl_tests(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                       const MeasurementSink& sink) {
  const std::string text = read_text_file(path);
  if (detail::is_json(text)) return import_nccl_tests_json(text, path, origin, report, sink);
  TextReader reader(path, origin, report, sink);
  for_each_line(path, [&](std::string_view line, std::size_t number) {
    reader.line(detail::plain_line(line), number);
  });
  reader.finish();
}

}  // namespace sextant
