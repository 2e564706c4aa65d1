#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>
#include <set>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/gpu_name.hpp"
#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/progress.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/command_line.hpp"
#include "calibrate/measure/device/commands.hpp"
#include "calibrate/measure/device/guarded.hpp"
#include "calibrate/measure/device/self_check.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

using Clock = std::chrono::steady_clock;

struct GpuOptions {
  Arguments arguments;
  Depth depth = Depth::standard;
  std::string gpu, output;
  std::vector<std::string> families;
  int device = 0, search_algorithms = 1;
  bool resume = false, quiet = false;
  std::optional<Clock::time_point> deadline;
};

/// What became of a family's points.
struct Tally {
  std::size_t measured = 0, known = 0, skipped = 0, failed = 0;
  std::string skip_reason, fail_reason, best;
  double best_rate = 0;
};

options::options_description known_options() {
  options::options_description known(
      "sextant-measure gpu -o FILE.jsonl [options]: times the operators of a language model on one GPU\n"
      "example: sextant-measure gpu --quick -o h200.jsonl");
  add_common(known);
  known.add_options()("families", options::value<std::string>(),
                      "only these, e.g. gemm,attention_decode/bf16")            //
      ("device", options::value<int>()->default_value(0), "number of the GPU")  //
      ("search-algorithms", options::value<int>()->default_value(1),
       "GEMM: time that many of cuBLASLt's algorithms and keep the best; engines take the first")  //
      ("self-check", "compare every operator with a reference on small shapes; writes no file");
  return known;
}

/// Bytes or operations per second that a point reached, and in which words.
void note_best(Tally& tally, const MeasurementRow& row, double us) {
  double rate = 0;
  const char* unit = "";
  const auto real = [](std::int64_t value) { return static_cast<double>(value); };
  if (const auto* gemm = std::get_if<GemmRow>(&row)) {
    rate = 2 * real(gemm->m) * real(gemm->n) * real(gemm->k) / us / 1e6;
    unit = "TFLOP/s";
  } else if (const auto* decode = std::get_if<AttentionDecodeRow>(&row)) {
    const double element = decode->kv_dtype == "fp8" ? 1 : 2;
    rate = 2 * real(decode->batch * decode->context) * real(decode->kv_heads * decode->head_dim) * element /
           us / 1e3;
    unit = "GB/s of KV";
  } else if (const auto* prefill = std::get_if<AttentionPrefillRow>(&row)) {
    const double fresh = real(prefill->new_tokens);
    rate = 4 * real(prefill->batch * prefill->heads * prefill->head_dim) * fresh *
           (real(prefill->past_tokens) + (fresh + 1) / 2) / us / 1e6;
    unit = "TFLOP/s";
  } else if (const auto* copy = std::get_if<CopyRow>(&row)) {
    rate = (copy->direction == "d2d" ? 2 : 1) * copy->bytes / us / 1e3;
    unit = "GB/s";
  }
  if (rate <= tally.best_rate) return;
  tally.best_rate = rate;
  tally.best = fmt::format("best {:.0f} {}", rate, unit);
}

void print_tallies(const std::map<std::string, Tally>& tallies, Progress& progress) {
  for (const auto& [family, tally] : tallies) {
    std::string line = fmt::format("{:<24} {:5} measured", family, tally.measured);
    if (tally.known > 0) line += fmt::format(", {} known", tally.known);
    if (!tally.best.empty()) line += ", " + tally.best;
    if (tally.skipped > 0) line += fmt::format("; {} {}", tally.skipped, tally.skip_reason);
    if (tally.failed > 0) line += fmt::format("; {} FAILED: {}", tally.failed, tally.fail_reason);
    progress.say(line);
  }
}

/// Measures point after point. Returns an exit code.
class GpuRun {
 public:
  GpuRun(const GpuOptions& asked, const std::set<std::string>& left_out, int attempt,
         const Heartbeat& heartbeat)
      : asked_(asked),
        left_out_(left_out),
        heartbeat_(heartbeat),
        bench_(asked.device, {rule_of(asked.depth), asked.search_algorithms}),
        gpu_(asked.gpu.empty() ? catalogue_gpu(bench_.device().name) : asked.gpu),
        file_(asked.output,
              asked.resume || attempt > 0 ? ResultFile::Existing::resume : ResultFile::Existing::refuse) {
    Provenance provenance;
    provenance.version = measure_source();
    provenance.arguments = asked.arguments;
    provenance.gpu = gpu_;
    provenance.details = bench_.details();
    file_.append_line(context_line(provenance));
  }

  int run() {
    const std::vector<Point> points = gpu_points(asked_.depth, gpu_, asked_.families);
    double total = 0, done = 0;
    for (const Point& point : points) total += point.estimated_seconds;
    Progress progress(total, asked_.quiet);
    progress.say(fmt::format("{} ({}): {} points, about {}", gpu_, bench_.device().name, points.size(),
                             duration_text(total)));
    heartbeat_.working_on("warm-up");
    look_ahead(points);
    warm_up(points);
    std::string ended;
    for (const Point& point : points) {
      if (interrupted()) ended = "interrupted";
      if (asked_.deadline && Clock::now() > *asked_.deadline) ended = "time is up";
      if (!ended.empty()) break;
      if (!left_out_.contains(point.family) && !measure(point, progress)) return context_lost;
      done += point.estimated_seconds;
      progress.update(done, point.family);
    }
    print_tallies(tallies_, progress);
    progress.say(fmt::format("{}{} rows added to {}", ended.empty() ? "" : ended + ": ", file_.appended(),
                             file_.path()));
    return static_cast<int>(interrupted() ? ExitCode::interrupted : ExitCode::ok);
  }

 private:
  void look_ahead(const std::vector<Point>& points) {
    std::vector<Point> missing;
    for (const Point& point : points)
      if (!left_out_.contains(point.family) && !file_.has(point.measurement)) missing.push_back(point);
    bench_.look_ahead(missing);
  }

  /// Brings the clocks up from idle.
  void warm_up(const std::vector<Point>& points) {
    constexpr auto duration = std::chrono::milliseconds(400);
    const auto until = Clock::now() + duration;
    const auto gemm = std::find_if(points.begin(), points.end(), [](const Point& point) {
      return point.family == "gemm/bf16" || point.family == "elementwise" ||
             point.family == "attention_decode/bf16";
    });
    if (gemm == points.end()) return;
    try {
      while (Clock::now() < until) bench_.measure(*gemm);
    } catch (const Error&) {
      // The point itself will say so.
    }
  }

  /// False if the device's context is lost.
  bool measure(const Point& point, Progress& progress) {
    Tally& tally = tallies_[point.family];
    if (file_.has(point.measurement)) {
      ++tally.known;
      return true;
    }
    heartbeat_.working_on(point.family);
    try {
      const Bench::Result result = bench_.measure(point);
      Measurement row = point.measurement;
      row.source = measure_source();
      row.note = result.note;
      std::visit(
          [&](auto& fields) {
            if constexpr (requires { fields.us; }) fields.us = result.us;
          },
          row.row);
      if (result.power) row.row = *result.power;
      note_best(tally, row.row, result.us);
      file_.append(row);
      ++tally.measured;
    } catch (const std::exception& error) {
      if (std::string_view(error.what()).starts_with("skipped:")) {
        if (tally.skipped++ == 0) tally.skip_reason = error.what();
        return true;
      }
      if (tally.failed++ == 0) {
        tally.fail_reason = error.what();
        progress.say(
            fmt::format("{}: {} in {}", point.family, error.what(), row_identity(point.measurement)));
      }
      return !context_is_lost();
    }
    return true;
  }

  const GpuOptions& asked_;
  const std::set<std::string>& left_out_;
  const Heartbeat& heartbeat_;
  Bench bench_;
  std::string gpu_;
  ResultFile file_;
  std::map<std::string, Tally> tallies_;
};

int list_points(const GpuOptions& asked) {
  struct Sum {
    std::size_t points = 0;
    double seconds = 0;
  };
  std::map<std::string, Sum> sums;
  Sum all;
  for (const Point& point : gpu_points(asked.depth, asked.gpu, asked.families)) {
    for (Sum* sum : {&sums[point.family], &all}) {
      ++sum->points;
      sum->seconds += point.estimated_seconds;
    }
  }
  for (const auto& [family, sum] : sums)
    fmt::print("{:<24}{:>7} points {:>16}\n", family, sum.points, duration_text(sum.seconds));
  fmt::print("{:<24}{:>7} points {:>16}\n", "all", all.points, duration_text(all.seconds));
  return 0;
}

/// Runs in the guarded process: errors become exit codes there.
template <class Work>
int reported(Work&& work) {
  try {
    return work();
  } catch (const Error& error) {
    fmt::print(stderr, "sextant-measure: {}\n", error.what());
    return static_cast<int>(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "sextant-measure: internal error: {}\n", error.what());
    return static_cast<int>(ExitCode::failure);
  }
}

}  // namespace

int run_gpu(const Arguments& arguments) {
  const options::options_description known = known_options();
  const options::variables_map values = parse(arguments, known);
  if (values.contains("help")) {
    std::ostringstream text;
    text << known;
    fmt::print("{}", text.str());
    return 0;
  }
  GpuOptions asked;
  asked.arguments = {"gpu"};
  asked.arguments.insert(asked.arguments.end(), arguments.begin(), arguments.end());
  asked.depth = depth_of(values);
  if (values.contains("gpu")) asked.gpu = values["gpu"].as<std::string>();
  if (values.contains("output")) asked.output = values["output"].as<std::string>();
  if (values.contains("families")) asked.families = parts(values["families"].as<std::string>());
  asked.device = values["device"].as<int>();
  asked.search_algorithms = values["search-algorithms"].as<int>();
  asked.resume = values.contains("resume");
  asked.quiet = values.contains("quiet");
  constexpr double quick_seconds = 115, standard_seconds = 590;  // without --thorough a run keeps its promise
  std::optional<double> seconds;
  if (values.contains("seconds"))
    seconds = values["seconds"].as<double>();
  else if (asked.depth != Depth::thorough)
    seconds = asked.depth == Depth::quick ? quick_seconds : standard_seconds;
  if (seconds)
    asked.deadline = Clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(1e6 * *seconds));
  gpu_points(Depth::quick, asked.gpu, asked.families);  // refuses unknown families
  if (values.contains("list")) return list_points(asked);
  constexpr double most_silent_seconds = 90;
  if (values.contains("self-check")) return self_check(asked.device, asked.families);
  if (asked.output.empty()) throw InputError("found no output file, expected -o FILE.jsonl");
  watch_for_interrupt();
  return run_guarded(most_silent_seconds,
                     [&](const std::set<std::string>& left_out, int attempt, const Heartbeat& heartbeat) {
                       return reported([&] { return GpuRun(asked, left_out, attempt, heartbeat).run(); });
                     });
}

}  // namespace sextant::measure
