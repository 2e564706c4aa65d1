#include <fmt/core.h>
#include <fmt/ranges.h>

#include <chrono>
#include <map>
#include <optional>
#include <sstream>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/gpu_name.hpp"
#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/progress.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/common/step_plan.hpp"
#include "calibrate/measure/device/bench.hpp"
#include "calibrate/measure/device/command_line.hpp"
#include "calibrate/measure/device/commands.hpp"
#include "calibrate/measure/device/guarded.hpp"
#include "calibrate/measure/device/step_run.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

using Clock = std::chrono::steady_clock;

options::options_description known_options() {
  options::options_description known(
      "sextant-measure step -o FILE.jsonl [options]: times whole decode and prefill steps of a model with "
      "random weights on\n"
      "the GPUs of this host. Without --model: the usual layouts that use all of them.\n"
      "example: sextant-measure step --model llama-3.1-8b --tp 1 --batch 1,32,128 --context 512,8192 -o "
      "steps.jsonl");
  add_common(known);
  known.add_options()("gpus", options::value<int>(), "GPUs of this host to use (default: all)")            //
      ("model", options::value<std::string>(), "catalogue names of models")                                //
      ("weights", options::value<std::string>()->default_value("bf16"), "bf16, fp8")                       //
      ("kv", options::value<std::string>()->default_value("bf16"), "bf16, fp8")                            //
      ("tp", options::value<std::string>()->default_value("1"), "tensor-parallel degrees")                 //
      ("pp", options::value<std::string>()->default_value("1"), "pipeline stages")                         //
      ("ep", options::value<std::string>()->default_value("1"), "1, or tp: whole experts on each GPU")     //
      ("phase", options::value<std::string>()->default_value("decode,prefill"), "decode, prefill")         //
      ("batch", options::value<std::string>(), "sequences of a decode microbatch")                         //
      ("context", options::value<std::string>(), "cached tokens (decode), prompt length (prefill)")        //
      ("microbatches", options::value<std::string>(), "in flight (default: the number of stages, and 1)")  //
      ("operators",
       "time GEMMs, attention, small kernels and collectives of each case alone too, for its note");
  return known;
}

StepPlanOptions plan_options(const options::variables_map& values) {
  StepPlanOptions plan;
  const auto numbers = [&](const char* name, std::vector<std::int64_t>& list) {
    if (values.contains(name))
      list = parse_size_list(values[name].as<std::string>(), std::string("--") + name);
  };
  plan.depth = depth_of(values);
  if (values.contains("model")) plan.models = parts(values["model"].as<std::string>());
  plan.weights = parts(values["weights"].as<std::string>());
  plan.kv = parts(values["kv"].as<std::string>());
  plan.phases = parts(values["phase"].as<std::string>());
  numbers("tp", plan.tp);
  numbers("pp", plan.pp);
  numbers("ep", plan.ep);
  numbers("batch", plan.batches);
  numbers("context", plan.contexts);
  numbers("microbatches", plan.microbatches);
  return plan;
}

struct StepOptions {
  Arguments arguments;
  StepPlanOptions plan;
  std::string gpu, output;
  std::optional<int> gpus;
  bool resume = false, quiet = false, operators = false;
  std::optional<Clock::time_point> deadline;
};

/// Measures layout after layout, in the guarded process. Returns an exit code.
class StepCommand {
 public:
  StepCommand(const StepOptions& asked, const std::set<std::string>& left_out, int attempt,
              const Heartbeat& heartbeat)
      : asked_(asked),
        left_out_(left_out),
        heartbeat_(heartbeat),
        device_(device_info(0)),
        monitor_(device_.bus_id),
        gpu_(asked.gpu.empty() ? catalogue_gpu(device_.name) : asked.gpu),
        file_(asked.output,
              asked.resume || attempt > 0 ? ResultFile::Existing::resume : ResultFile::Existing::refuse) {}

  int run() {
    int devices = 0;
    cudaGetDeviceCount(&devices);
    const int gpus = asked_.gpus.value_or(devices);
    write_context(devices);
    const std::vector<StepPlan> plans = step_plans(asked_.plan, gpus);
    double total = 0, done = 0;
    for (const StepPlan& plan : plans) total += rough_seconds(plan);
    Progress progress(total, asked_.quiet);
    progress.say(
        fmt::format("{}, {} GPUs: {} layouts, about {}", gpu_, gpus, plans.size(), duration_text(total)));
    for (const StepPlan& plan : plans) {
      if (stopped()) break;
      measure(plan, progress, done);
      done += rough_seconds(plan);
    }
    progress.say(
        fmt::format("{}{} rows added to {}", stopped() ? "stopped: " : "", file_.appended(), file_.path()));
    return static_cast<int>(interrupted() ? ExitCode::interrupted : ExitCode::ok);
  }

 private:
  bool stopped() const { return interrupted() || (asked_.deadline && Clock::now() > *asked_.deadline); }

  void write_context(int devices) {
    Provenance provenance;
    provenance.version = measure_source();
    provenance.arguments = asked_.arguments;
    provenance.gpu = gpu_;
    provenance.details = monitor_.nvml().details();
    provenance.details["device"] = device_.name;
    provenance.details["devices"] = std::to_string(devices);
    for (const char* variable : {"NCCL_NVLS_ENABLE", "NCCL_P2P_DISABLE", "NCCL_ALGO", "NCCL_PROTO"})
      if (const char* value = std::getenv(variable)) provenance.details[variable] = value;
    file_.append_line(context_line(provenance));
  }

  Measurement row_of(const StepPlan& plan, const StepCase& item) const {
    return {gpu_, measure_source(), "", step_row(plan.layout, item)};
  }

  void measure(const StepPlan& plan, Progress& progress, double done) {
    std::vector<StepCase> missing;
    for (const StepCase& item : plan.cases)
      if (!file_.has(row_of(plan, item)) && !left_out_.contains(plan.layout.text() + " " + item.text()))
        missing.push_back(item);
    if (missing.empty() || left_out_.contains(plan.layout.text())) return;
    heartbeat_.working_on(plan.layout.text());
    StepListener listener;
    listener.begin = [&](const StepCase& item) {
      heartbeat_.working_on(plan.layout.text() + " " + item.text());
      return !stopped();
    };
    listener.done = [&](const StepCase& item, const StepResult& result) {
      keep(plan, item, result, progress);
      done += rough_seconds(plan) / static_cast<double>(plan.cases.size());
      progress.update(done, plan.layout.text());
    };
    listener.skipped = [&](const StepCase& item, const std::string& reason) {
      progress.say(fmt::format("{} {}: {}", plan.layout.text(), item.text(), reason));
    };
    StepRunOptions how;
    how.operators = asked_.operators;
    how.seconds = asked_.plan.depth == Depth::quick ? 0.25 : asked_.plan.depth == Depth::standard ? 0.5 : 1.5;
    try {
      run_steps(plan.layout, missing, how, listener);
    } catch (const Error& error) {
      progress.say(fmt::format("{}: {}", plan.layout.text(), error.what()));
    }
  }

  void keep(const StepPlan& plan, const StepCase& item, const StepResult& result, Progress& progress) {
    Measurement measured = row_of(plan, item);
    StepRow& row = std::get<StepRow>(measured.row);
    row.ms = result.ms;
    row.stage_ms = result.stage_ms;
    const GpuState state = monitor_.state();
    measured.note = fmt::format("{}; {} MHz, {:.0f} W on GPU 0; {}", result.note, state.sm_mhz, state.watts,
                                plan.layout.tp > 1 ? "NCCL all-reduce" : "one GPU a stage");
    file_.append(measured);
    progress.say(fmt::format("{} {}: {:.4g} ms (stages {:.4g})", plan.layout.text(), item.text(), row.ms,
                             fmt::join(row.stage_ms, " ")));
  }

  const StepOptions& asked_;
  const std::set<std::string>& left_out_;
  const Heartbeat& heartbeat_;
  DeviceInfo device_;
  GpuMonitor monitor_;
  std::string gpu_;
  ResultFile file_;
};

int list_plans(const StepOptions& asked) {
  if (!asked.gpus) throw InputError("--list: found no number of GPUs, expected --gpus N");
  double total = 0;
  for (const StepPlan& plan : step_plans(asked.plan, *asked.gpus)) {
    fmt::print("{:<40}{:>5} cases {:>14}\n", plan.layout.text(), plan.cases.size(),
               duration_text(rough_seconds(plan)));
    total += rough_seconds(plan);
  }
  fmt::print("all: {}\n", duration_text(total));
  return 0;
}

int guarded(const StepOptions& asked) {
  constexpr double most_silent_seconds =
      240;  // rounds of long prompts of a large model on one card take a minute
  return run_guarded(most_silent_seconds,
                     [&](const std::set<std::string>& left_out, int attempt, const Heartbeat& heartbeat) {
                       try {
                         return StepCommand(asked, left_out, attempt, heartbeat).run();
                       } catch (const Error& error) {
                         fmt::print(stderr, "sextant-measure: {}\n", error.what());
                         return static_cast<int>(error.code());
                       } catch (const std::exception& error) {
                         fmt::print(stderr, "sextant-measure: internal error: {}\n", error.what());
                         return static_cast<int>(ExitCode::failure);
                       }
                     });
}

}  // namespace

int run_step(const Arguments& arguments) {
  const options::options_description known = known_options();
  const options::variables_map values = parse(arguments, known);
  if (values.contains("help")) {
    std::ostringstream text;
    text << known;
    fmt::print("{}", text.str());
    return 0;
  }
  StepOptions asked;
  asked.arguments = {"step"};
  asked.arguments.insert(asked.arguments.end(), arguments.begin(), arguments.end());
  asked.plan = plan_options(values);
  if (values.contains("gpu")) asked.gpu = values["gpu"].as<std::string>();
  if (values.contains("output")) asked.output = values["output"].as<std::string>();
  if (values.contains("gpus")) asked.gpus = values["gpus"].as<int>();
  asked.resume = values.contains("resume");
  asked.quiet = values.contains("quiet");
  asked.operators = values.contains("operators");
  if (values.contains("seconds"))
    asked.deadline = Clock::now() + std::chrono::microseconds(
                                        static_cast<std::int64_t>(1e6 * values["seconds"].as<double>()));
  if (values.contains("list")) return list_plans(asked);
  if (asked.output.empty()) throw InputError("found no output file, expected -o FILE.jsonl");
  watch_for_interrupt();
  return guarded(asked);
}

}  // namespace sextant::measure
