#include "calibrate/measure/device/step_run.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstdio>
#include <memory>
#include <mutex>
#include <thread>

#include "calibrate/measure/common/statistics.hpp"
#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/guarded.hpp"
#include "calibrate/measure/device/stage_runner.hpp"
#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"

namespace sextant::measure {
namespace {

/// What the GPUs' threads share.
struct Shared {
  const StepLayout& layout;
  const std::vector<StepCase>& cases;
  const StepRunOptions& options;
  const StepListener& listener;
  Architecture architecture;
  std::unique_ptr<NcclLibrary> nccl;
  std::unique_ptr<StepCommIds> ids;
  std::barrier<> gate;
  std::mutex mutex;
  std::string skip_reason;  ///< of the case in hand; guarded by mutex
  bool wanted = true;       ///< written by GPU 0 between two gates
  int rounds = 0;           ///< written by the last stage between two gates
  StepResult result;        ///< stage_ms guarded by mutex
};

constexpr int warm_up_rounds = 2;

/// The last stage's first GPU sees every round's end.
bool is_clock(const Shared& shared, int stage, int rank) {
  return stage == shared.layout.pp - 1 && rank == 0;
}

int rounds_for(const StepRunOptions& options, double round_us) {
  constexpr double us_per_second = 1e6;
  const double wanted = options.seconds * us_per_second / std::max(round_us, 1.0);
  return std::clamp(static_cast<int>(wanted), options.least_rounds, options.most_rounds);
}

void keep_result(Shared& shared, const StageRunner& runner, int stage, int rank) {
  const std::lock_guard lock(shared.mutex);
  if (rank == 0) shared.result.stage_ms[static_cast<std::size_t>(stage)] = median(runner.pass_us()) / 1e3;
  if (!runner.output_is_finite())
    shared.result.note += fmt::format("; stage {} rank {}: output is not finite", stage, rank);
  if (!is_clock(shared, stage, rank)) return;
  const MedianInterval interval = median_interval(runner.round_us());
  shared.result.ms = interval.median / 1e3;
  shared.result.note = fmt::format("{} rounds, {:.0f} % interval {:.6g} to {:.6g} ms{}{}",
                                   runner.round_us().size(), 100 * interval.confidence, interval.low / 1e3,
                                   interval.high / 1e3, runner.note(), shared.result.note);
}

/// Times each family of a stage's operators without the others; the first rank of a stage notes its own.
void time_operators(Shared& shared, StageRunner& runner, const StepCase& item, int stage, int rank) {
  struct Family {
    StageFamily family;
    const char* name;
  };
  std::string text;
  for (const Family& each :
       {Family{StageFamily::gemm, "gemm"}, Family{StageFamily::attention, "attention"},
        Family{StageFamily::experts, "experts"}, Family{StageFamily::elementwise, "elementwise"},
        Family{StageFamily::collective, "collective"}}) {
    if (each.family == StageFamily::collective && shared.layout.tp == 1) continue;
    if (each.family == StageFamily::experts && !runner.has_experts()) continue;
    runner.capture(each.family);
    shared.gate.arrive_and_wait();
    runner.run(std::min(shared.rounds, shared.options.most_operator_rounds), item.microbatches);
    text += fmt::format(" {} {:.4g}", each.name, median(runner.pass_us()) / 1e3);
    shared.gate.arrive_and_wait();
  }
  const std::lock_guard lock(shared.mutex);
  if (rank == 0) shared.result.note += fmt::format("; stage {} alone, ms:{}", stage, text);
}

void run_case(Shared& shared, StageRunner& runner, const StepCase& item, int stage, int rank) {
  runner.capture();
  shared.gate.arrive_and_wait();
  runner.run(warm_up_rounds, item.microbatches);
  if (is_clock(shared, stage, rank)) shared.rounds = rounds_for(shared.options, runner.round_us().back());
  shared.gate.arrive_and_wait();
  runner.run(shared.rounds, item.microbatches);
  keep_result(shared, runner, stage, rank);
  if (!shared.options.operators) return;
  shared.gate.arrive_and_wait();
  time_operators(shared, runner, item, stage, rank);
}

/// Whether every GPU has room for the case; all threads get the same answer.
bool prepare(Shared& shared, StageRunner& runner, const StepCase& item) {
  try {
    runner.prepare(item);
  } catch (const Error& error) {
    if (!std::string_view(error.what()).starts_with("skipped:")) throw;
    const std::lock_guard lock(shared.mutex);
    shared.skip_reason = error.what();
  }
  shared.gate.arrive_and_wait();
  const std::lock_guard lock(shared.mutex);
  return shared.skip_reason.empty();
}

void run_gpu_thread(Shared& shared, int gpu) {
  const int stage = gpu / shared.layout.tp, rank = gpu % shared.layout.tp;
  SEXTANT_CUDA(cudaSetDevice(gpu));
  const Blas blas;
  std::unique_ptr<Cudnn> cudnn;
  try {
    cudnn = std::make_unique<Cudnn>();
  } catch (const Error&) {
    // Prefill cases say that it is missing.
  }
  StepComms comms;
  if (shared.nccl) comms = join_groups(*shared.nccl, *shared.ids, shared.layout, stage, rank);
  {
    StageRunner runner(StagePart(shared.architecture, shared.layout, stage, rank), blas, cudnn.get(),
                       shared.nccl.get(), comms);
    for (const StepCase& item : shared.cases) {
      if (gpu == 0) {
        shared.wanted = shared.listener.begin(item);
        shared.skip_reason.clear();
        shared.result = {0, std::vector<double>(static_cast<std::size_t>(shared.layout.pp)), ""};
      }
      shared.gate.arrive_and_wait();
      const bool wanted = shared.wanted;
      shared.gate.arrive_and_wait();
      if (!wanted) continue;
      const bool fits = prepare(shared, runner, item);
      if (fits) run_case(shared, runner, item, stage, rank);
      shared.gate.arrive_and_wait();
      if (gpu == 0)
        fits ? shared.listener.done(item, shared.result) : shared.listener.skipped(item, shared.skip_reason);
    }
  }
  if (shared.nccl) leave_groups(*shared.nccl, comms);
}

}  // namespace

void run_steps(const StepLayout& layout, const std::vector<StepCase>& cases, const StepRunOptions& options,
               const StepListener& listener) {
  int devices = 0;
  if (cudaGetDeviceCount(&devices) != cudaSuccess || devices < layout.gpus())
    throw Error(ExitCode::failure,
                fmt::format("skipped: {} needs {} GPUs, found {}", layout.text(), layout.gpus(), devices));
  Shared shared{layout,
                cases,
                options,
                listener,
                find_model(layout.model).architecture,
                nullptr,
                nullptr,
                std::barrier<>(layout.gpus()),
                {},
                "",
                true,
                0,
                {}};
  StagePart(shared.architecture, layout, 0);  // refuses what cannot be cut so
  if (layout.gpus() > 1) {
    shared.nccl = std::make_unique<NcclLibrary>();
    shared.ids = std::make_unique<StepCommIds>(*shared.nccl, layout);
  }
  std::vector<std::thread> threads;
  for (int gpu = 0; gpu < layout.gpus(); ++gpu)
    threads.emplace_back([&shared, gpu] {
      try {
        run_gpu_thread(shared, gpu);
      } catch (const std::exception& error) {
        fmt::print(stderr, "{}, gpu {}: {}\n", shared.layout.text(), gpu, error.what());
        std::fflush(nullptr);
        _exit(context_lost);
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace sextant::measure
