#include "calibrate/measure/nccl/nccl_command.hpp"

#include <cuda_runtime.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <optional>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/gpu_name.hpp"
#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/device/nvml.hpp"
#include "calibrate/measure/nccl/cuda_call.hpp"
#include "calibrate/measure/nccl/measuring_process.hpp"
#include "calibrate/measure/nccl/nccl_library.hpp"
#include "calibrate/measure/nccl/overlap_command.hpp"
#include "calibrate/measure/nccl/plan/child_process.hpp"
#include "calibrate/measure/nccl/plan/overlap.hpp"
#include "calibrate/measure/nccl/plan/rendezvous.hpp"
#include "calibrate/measure/nccl/plan/rows.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr const char* this_program = "/proc/self/exe";
constexpr int most_passes = 3;                // over the variants, when time is left
constexpr double worth_a_start_seconds = 10;  // less is not worth starting a process again
constexpr int most_restarts = 3;              // of one variant, after blocks that NCCL refuses

/// What the parent knows of a child when it has ended.
struct ProcessOutcome {
  int code = 0;
  bool complete = false;   ///< it came to its end, its share of the time included
  bool cut_short = false;  ///< by its share of the time
  int last_block = 0;
  long long wrong = 0;
};

/// Starts the plan's processes one after another and keeps what they measure.
class Conductor {
 public:
  Conductor(const Options& options, const ProcessPlace& place, const Plan& plan, int ranks)
      : options_(options),
        place_(place),
        plan_(plan),
        ranks_(ranks),
        meeting_(meeting_point(options.rendezvous, place, environment_variable)),
        limits_(limits(options)) {}

  void open_file(const std::string& header) {
    if (place_.rank != 0 || options_.output.empty()) return;
    using Existing = measure::ResultFile::Existing;
    file_.emplace(options_.output, options_.resume ? Existing::resume : Existing::refuse);
    file_->append_line(header);
  }

  int run() {
    std::vector<std::size_t> pending(plan_.processes.size());
    std::iota(pending.begin(), pending.end(), std::size_t{0});
    // What its share of the time cut short goes on with the time that others left over.
    for (int pass = 0; pass < most_passes && !pending.empty() && !ended(); ++pass) {
      if (pass > 0 && (!can_continue() || seconds_left() < worth_a_start_seconds)) break;
      std::vector<std::size_t> unfinished;
      while (!pending.empty() && !ended()) {
        if (run_variant(pending, pass > 0) == Outcome::cut_short) unfinished.push_back(pending.front());
        pending.erase(pending.begin());
      }
      unfinished.insert(unfinished.end(), pending.begin(), pending.end());
      pending = std::move(unfinished);
    }
    for (const std::size_t index : pending) unfinished_.push_back(plan_.processes[index].variant.text());
    report();
    if (measure::interrupted()) return static_cast<int>(ExitCode::interrupted);
    return static_cast<int>(wrong_ > 0 || fatal_ ? ExitCode::failure : ExitCode::ok);
  }

 private:
  enum class Outcome { finished, cut_short, failed };

  bool ended() const { return fatal_ || measure::interrupted(); }
  /// Only a file tells a second process what the first has measured.
  bool can_continue() const { return !options_.output.empty() && options_.output != "-"; }

  /// Runs the first of the pending variants. One that NCCL refuses for a block goes on with the next block;
  /// only a single process can restart alone.
  Outcome run_variant(const std::vector<std::size_t>& pending, bool again) {
    const Process& process = plan_.processes[pending.front()];
    int first_block = 0;
    for (int attempt = 0; attempt <= most_restarts; ++attempt) {
      if (limits_.seconds > 0 && seconds_left() <= 0) return Outcome::cut_short;
      const ProcessOutcome outcome = run_process(pending, first_block, again);
      wrong_ += outcome.wrong;
      if (outcome.complete) return outcome.cut_short ? Outcome::cut_short : Outcome::finished;
      if (measure::interrupted()) return Outcome::cut_short;
      const bool bad_input = outcome.code == static_cast<int>(ExitCode::bad_input);
      failed_.push_back(
          bad_input ? process.variant.text()
                    : fmt::format("{}: {}", process.variant.text(),
                                  process.blocks[static_cast<std::size_t>(outcome.last_block)].text()));
      fatal_ = bad_input || !process.variant.forced();
      first_block = outcome.last_block + 1;
      if (fatal_ || place_.size > 1 || first_block >= static_cast<int>(process.blocks.size())) break;
    }
    return Outcome::failed;
  }

  ProcessOutcome run_process(const std::vector<std::size_t>& pending, int first_block, bool again) {
    const std::size_t index = pending.front();
    const Process& process = plan_.processes[index];
    ChildProgram program;
    program.path = this_program;
    program.arguments = {"nccl"};
    program.arguments.insert(program.arguments.end(), options_.arguments.begin(), options_.arguments.end());
    const auto add = [&](const char* option, const std::string& value) {
      program.arguments.emplace_back(option);
      program.arguments.push_back(value);
    };
    add("--child-process", std::to_string(index));
    add("--child-block", std::to_string(first_block));
    add("--child-seconds", fmt::format("{:.1f}", share_of_time(pending)));
    // What this process found out and the child would have to find out again.
    add("--gpu", options_.gpu);
    add("--source", options_.source);
    add("--output", options_.output);
    if (!meeting_.file.empty()) add("--rendezvous", meeting_.file);
    if (again) program.arguments.emplace_back("--resume");
    program.pipe_option = "--child-rows";
    program.variables = process.variant.environment();
    if (!options_.allow_multicast) program.variables.emplace_back("NCCL_NVLS_ENABLE", "0");
    ProcessOutcome outcome;
    outcome.last_block = first_block;
    const ChildEnd end = run_child_program(
        program, [&](const std::string& line) { hear(line, outcome); }, measure::interrupted);
    outcome.code = end.code;
    return outcome;
  }

  void hear(const std::string& line, ProcessOutcome& outcome) {
    constexpr std::string_view block = "block ", wrong = "wrong ";
    if (line == "done")
      outcome.complete = true;
    else if (line == "cut short")
      outcome.cut_short = true;
    else if (line.starts_with(block))
      outcome.last_block = std::stoi(line.substr(block.size()));
    else if (line.starts_with(wrong))
      outcome.wrong += std::stoll(line.substr(wrong.size()));
    else
      keep(read_measurement(JsonValue::parse(line, "measuring process")));
  }

  void keep(const Measurement& row) {
    if (file_) file_->append(row);
    rows_.push_back(row);
  }

  /// What is left of the time, in proportion to the points; 0: no limit.
  double share_of_time(const std::vector<std::size_t>& pending) const {
    if (limits_.seconds <= 0) return 0;
    double ahead = 0;
    for (const std::size_t index : pending) ahead += weight(plan_.processes[index]);
    return std::max(1.0, seconds_left() * weight(plan_.processes[pending.front()]) / ahead);
  }
  double weight(const Process& process) const { return estimated_seconds({{process}}, limits_); }
  double seconds_left() const {
    return limits_.seconds - std::chrono::duration<double>(Clock::now() - begin_).count();
  }

  void report() const {
    if (place_.rank != 0) return;
    std::FILE* stream = options_.output == "-" ? stderr : stdout;
    if (const std::string matrices = pair_matrices(rows_, ranks_); !matrices.empty())
      fmt::print(stream, "#\n{}", matrices);
    fmt::print(stream, "#\n# {} points measured in {}{}\n", rows_.size(),
               measure::duration_text(std::chrono::duration<double>(Clock::now() - begin_).count()),
               file_ ? ", in " + file_->path() : "");
    if (wrong_) fmt::print(stream, "# {} points had wrong results and are not in the file\n", wrong_);
    for (const std::string& text : failed_) fmt::print(stream, "# failed: {}\n", text);
    if (!unfinished_.empty()) fmt::print(stream, "# not finished: {}\n", fmt::join(unfinished_, "; "));
  }

  const Options& options_;
  const ProcessPlace& place_;
  const Plan& plan_;
  int ranks_;
  MeetingPoint meeting_;
  EffortLimits limits_;
  Clock::time_point begin_ = Clock::now();
  std::optional<measure::ResultFile> file_;
  std::vector<Measurement> rows_;
  std::vector<std::string> failed_, unfinished_;
  long long wrong_ = 0;
  bool fatal_ = false;
};

/// 0 without a device or driver.
int visible_gpus(std::string& reason) {
  int count = 0;
  const cudaError_t result = cudaGetDeviceCount(&count);
  if (result == cudaSuccess) return count;
  reason = cudaGetErrorString(result);
  return 0;
}

int list(const Options& options, const ProcessPlace& place, int visible) {
  LocalShape shape = local_shape(options, place, visible);
  if (!options.local_ranks() && visible == 0 && place.size == 1) {
    constexpr int assumed = 2;
    shape.threads = assumed;
    fmt::print("# found no GPU: as on {} GPUs (-g N for others)\n", assumed);
  }
  const int ranks = place.size * shape.ranks();
  fmt::print("{}", list_text(make_plan(options, ranks), limits(options), ranks));
  return static_cast<int>(ExitCode::ok);
}

/// Fills in what the user left to be found: the GPU's name, the rows' source, the file of a sweep.
void complete(Options& options, const std::string& version) {
  cudaDeviceProp properties{};
  cuda_check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  if (options.gpu.empty()) options.gpu = measure::catalogue_gpu(properties.name);
  if (options.source.empty()) options.source = "sextant-measure " + version;
  if (options.output.empty() && options.overlap.wanted)
    options.output = fmt::format("overlap.{}.jsonl", options.gpu);
  if (options.output.empty() && options.sweep()) options.output = fmt::format("nccl.{}.jsonl", options.gpu);
}

std::string cuda_version(int code) {
  return fmt::format("{}.{}", code / 1000, code % 1000 / 10);
}

measure::Provenance provenance(const Options& options, const ProcessPlace& place,
                               const std::string& version) {
  measure::Provenance result;
  result.version = version;
  result.arguments = {"nccl"};
  result.arguments.insert(result.arguments.end(), options.arguments.begin(), options.arguments.end());
  result.gpu = options.gpu;
  const NcclLibrary nccl = load_nccl(options.nccl_library);
  int driver = 0, runtime = 0;
  cuda_check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
  cuda_check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
  char bus_id[32] = {};
  cuda_check(cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, 0), "cudaDeviceGetPCIBusId");
  result.details = measure::Nvml(bus_id).details();
  result.details["nccl"] = nccl.version();
  result.details["nccl_library"] = nccl.path;
  result.details["cuda_driver_api"] = cuda_version(driver);
  result.details["cuda_runtime"] = cuda_version(runtime);
  result.details["launcher"] =
      place.launcher.empty() ? "one process" : fmt::format("{}, {} processes", place.launcher, place.size);
  result.details["nvlink_multicast"] = options.allow_multicast ? "allowed" : "off (NCCL_NVLS_ENABLE=0)";
  for (char** each = environ; *each; ++each)
    if (const std::string text = *each; text.starts_with("NCCL_"))
      result.details["env " + text.substr(0, text.find('='))] = text.substr(text.find('=') + 1);
  return result;
}

/// nccl-tests' first lines, and what will be done.
std::string banner(const Options& options, const ProcessPlace& place, const Plan& plan, int ranks) {
  const EffortLimits effort = limits(options);
  std::string text =
      fmt::format("# sextant-measure nccl: {} GPUs in {} processes, {} variants, {} points, about {}\n",
                  ranks, place.size, plan.processes.size(), plan.points(),
                  measure::duration_text(estimated_seconds(plan, effort)));
  if (effort.seconds > 0) text += fmt::format("# stops after {}\n", measure::duration_text(effort.seconds));
  return text + "#\n";
}

}  // namespace

int run_nccl_command(const std::vector<std::string>& arguments, const std::string& version) {
  Options options = parse_options(arguments);
  if (options.help) {
    fmt::print("{}", help_text());
    return static_cast<int>(ExitCode::ok);
  }
  const ProcessPlace place = process_place(environment_variable);
  // Before CUDA starts: two streams must not share a queue to the device.
  if (options.overlap.wanted) setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", 1);
  std::string reason = "none is visible";
  const int visible = visible_gpus(reason);
  if (options.list && options.overlap.wanted)
    return list_overlap(options, place.size, visible > 0 ? visible : 2);
  if (options.list) return list(options, place, visible);
  if (options.overlap.wanted) expect_gpus_for_overlap(visible, reason);
  if (visible == 0)
    throw InputError(fmt::format("nccl: found no GPU ({}), expected at least 2 over all processes", reason));
  const int ranks = place.size * local_shape(options, place, visible).ranks();
  if (options.overlap.wanted) {
    measure::watch_for_interrupt();
    if (!options.allow_multicast) setenv("NCCL_NVLS_ENABLE", "0", 1);
    complete(options, version);
    return run_overlap(options, place, ranks, measure::context_line(provenance(options, place, version)));
  }
  const Plan plan = make_plan(options, ranks);
  if (options.child.process >= 0) return run_measuring_process(options, place, plan, visible);

  measure::watch_for_interrupt();
  // Before NCCL is loaded, here and in every child.
  if (!options.allow_multicast) setenv("NCCL_NVLS_ENABLE", "0", 1);
  complete(options, version);
  Conductor conductor(options, place, plan, ranks);
  conductor.open_file(measure::context_line(provenance(options, place, version)));
  if (place.rank == 0) {
    std::FILE* stream = options.output == "-" ? stderr : stdout;
    fmt::print(stream, "{}", banner(options, place, plan, ranks));
    std::fflush(stream);  // before the children's tables
  }
  return conductor.run();
}

}  // namespace sextant::nccl
