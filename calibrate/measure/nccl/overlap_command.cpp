#include "calibrate/measure/nccl/overlap_command.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <thread>

#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/nccl/cuda_call.hpp"
#include "calibrate/measure/nccl/measuring_process.hpp"
#include "calibrate/measure/nccl/overlap_gpu.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

/// Communicators of all GPUs with a number of channels forced, 0: NCCL's own choice.
class ChannelComms {
 public:
  ChannelComms(const NcclLibrary& nccl, const std::vector<LocalRank>& local, int channels)
      : nccl_(nccl), devices_(local.size()), comms_(local.size(), nullptr) {
    ncclUniqueId id{};
    nccl_.check(nccl_.get_unique_id(&id), "ncclGetUniqueId");
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    if (channels > 0) config.minCTAs = config.maxCTAs = channels;
    nccl_.check(nccl_.group_start(), "ncclGroupStart");
    for (std::size_t i = 0; i < local.size(); ++i) {
      devices_[i] = local[i].device;
      cuda_check(cudaSetDevice(local[i].device), "cudaSetDevice");
      nccl_.check(
          nccl_.comm_init_rank_config(&comms_[i], static_cast<int>(local.size()), id, local[i].rank, &config),
          "ncclCommInitRankConfig");
    }
    nccl_.check(nccl_.group_end(), "ncclGroupEnd (ncclCommInitRankConfig)");
  }
  ChannelComms(const ChannelComms&) = delete;
  ChannelComms& operator=(const ChannelComms&) = delete;
  ~ChannelComms() {
    // After a failure operations may still hang on the device; only aborting ends them.
    const auto close = std::uncaught_exceptions() > 0 ? nccl_.comm_abort : nccl_.comm_destroy;
    for (std::size_t i = 0; i < comms_.size(); ++i) {
      cudaSetDevice(devices_[i]);
      if (comms_[i] != nullptr) close(comms_[i]);
    }
  }
  ncclComm_t at(std::size_t index) const { return comms_[index]; }

 private:
  const NcclLibrary& nccl_;
  std::vector<int> devices_;
  std::vector<ncclComm_t> comms_;
};

WorldSetup world_setup(const Options& options, const ProcessPlace& place, int ranks) {
  constexpr double usual_timeout_seconds = 20;
  WorldSetup setup;
  setup.place = place;
  setup.meeting = meeting_point(options.rendezvous, place, environment_variable);
  setup.threads = ranks;
  setup.timeout_seconds = options.timeout_seconds > 0 ? options.timeout_seconds : usual_timeout_seconds;
  return setup;
}

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Measures one point after another on all GPUs at once.
class OverlapRunner {
 public:
  OverlapRunner(const Options& options, World& world, std::size_t pool_bytes, double timeout_seconds)
      : options_(options), world_(world), gpus_(world.local().size()) {
    world_.on_threads([&](const std::vector<int>& mine) {
      for (const int i : mine) {
        const auto index = static_cast<std::size_t>(i);
        gpus_[index] = std::make_unique<OverlapGpu>(world_.nccl(), world_.local()[index], world_.size(),
                                                    options_.overlap.gemms, pool_bytes, timeout_seconds);
      }
    });
  }

  /// Nothing where no unit of one lay within the work of the other.
  std::optional<OverlapSamples> measure(const OverlapPoint& point, const ChannelComms& comms, int wanted) {
    point_ = &point;
    comms_ = &comms;
    const auto shape = std::find(options_.overlap.gemms.begin(), options_.overlap.gemms.end(), point.gemm);
    gemm_ = static_cast<std::size_t>(shape - options_.overlap.gemms.begin());
    estimate();
    OverlapSamples samples;
    for (int i = 0; i < wanted; ++i) take(samples);
    if (samples.gemm_beside.empty()) return std::nullopt;
    return samples;
  }

 private:
  /// Each alone, the first time to load kernels: one that is loaded beside a collective might wait for it.
  void estimate() {
    constexpr UnitCounts few = {4, 1}, none = {};
    collective_us_ = gemm_us_ = 1;
    for (int attempt = 0; attempt < 2; ++attempt) {
      const double gemm_us = most_alone(run(none, few), &OverlapMarks::gemm);
      const double collective_us = most_alone(run(few, none), &OverlapMarks::collective);
      if (attempt == 0) continue;
      gemm_us_ = gemm_us;
      collective_us_ = collective_us;
    }
    counts_ = overlap_counts(collective_us_, gemm_us_);
  }

  void take(OverlapSamples& samples) {
    const UnitCounts none = {};
    const std::vector<OverlapMarks> gemm = run(none, counts_.gemm);
    const std::vector<OverlapMarks> collective = run(counts_.collective, none);
    const std::vector<OverlapMarks> both = run(counts_.collective, counts_.gemm);
    std::vector<double> us[4];
    int least_units = 0;
    for (std::size_t i = 0; i < gpus_.size(); ++i) {
      if (!gpus_[i]->takes_part(point_->operation)) continue;
      const auto gemm_alone = period_alone(gemm[i].gemm);
      const auto collective_alone = period_alone(collective[i].collective);
      const auto gemm_beside = period_beside(both[i].gemm, both[i].collective);
      const auto collective_beside = period_beside(both[i].collective, both[i].gemm);
      if (!gemm_alone || !collective_alone || !gemm_beside || !collective_beside) return;
      us[0].push_back(collective_alone->us / counts_.collective.per_unit);
      us[1].push_back(collective_beside->us / counts_.collective.per_unit);
      us[2].push_back(gemm_alone->us / counts_.gemm.per_unit);
      us[3].push_back(gemm_beside->us / counts_.gemm.per_unit);
      const int units = std::min(gemm_beside->units, collective_beside->units);
      least_units = least_units == 0 ? units : std::min(least_units, units);
    }
    keep_conditions(samples, gemm, both);
    samples.least_units =
        samples.gemm_beside.empty() ? least_units : std::min(samples.least_units, least_units);
    samples.collective_alone.push_back(mean(us[0]));
    samples.collective_beside.push_back(mean(us[1]));
    samples.gemm_alone.push_back(mean(us[2]));
    samples.gemm_beside.push_back(mean(us[3]));
  }

  static void keep_conditions(OverlapSamples& samples, const std::vector<OverlapMarks>& alone,
                              const std::vector<OverlapMarks>& both) {
    const auto keep_least = [](unsigned& least, unsigned mhz) {
      if (mhz > 0) least = least == 0 ? mhz : std::min(least, mhz);
    };
    keep_least(samples.least_mhz_alone, alone.front().state.sm_mhz);
    keep_least(samples.least_mhz_beside, both.front().state.sm_mhz);
    samples.throttled =
        samples.throttled || alone.front().state.throttled() || both.front().state.throttled();
    for (const OverlapMarks& marks : both)
      if (!marks.collective.empty() && !marks.gemm.empty())
        samples.most_host_share = std::max(
            samples.most_host_share, marks.host_us / std::max(marks.collective.back(), marks.gemm.back()));
  }

  /// The same work on every GPU at once, and a rest of twice its time, so that every sample is a burst.
  std::vector<OverlapMarks> run(const UnitCounts& collectives, const UnitCounts& gemms) {
    std::vector<OverlapMarks> marks(gpus_.size());
    const auto begin = Clock::now();
    world_.on_threads([&](const std::vector<int>& mine) {
      for (const int i : mine) {
        const auto index = static_cast<std::size_t>(i);
        OverlapWork work;
        work.point = point_;
        work.gemm = gemm_;
        work.comm = comms_->at(index);
        if (gpus_[index]->takes_part(point_->operation)) work.collectives = collectives;
        work.gemms = gemms;
        work.collective_us = collective_us_;
        work.gemm_us = gemm_us_;
        if (work.collectives.units > 0 || work.gemms.units > 0) marks[index] = gpus_[index]->run(work);
      }
    });
    std::this_thread::sleep_for(2 * (Clock::now() - begin));
    return marks;
  }

  static double most_alone(const std::vector<OverlapMarks>& marks, std::vector<double> OverlapMarks::*which) {
    double most = 0;
    for (const OverlapMarks& each : marks)
      if (const auto period = period_alone(each.*which)) most = std::max(most, period->us);
    if (most <= 0) throw Error(ExitCode::failure, "nccl --overlap: found no time of a warm-up, expected one");
    return most;
  }

  const Options& options_;
  World& world_;
  std::vector<std::unique_ptr<OverlapGpu>> gpus_;
  const OverlapPoint* point_ = nullptr;
  const ChannelComms* comms_ = nullptr;
  std::size_t gemm_ = 0;
  double collective_us_ = 1, gemm_us_ = 1;
  OverlapCounts counts_;
};

RowContext row_context(const Options& options, const World& world) {
  RowContext context;
  context.gpu = options.gpu;
  context.source = options.source;
  context.link = options.link.empty() ? link_of_group(world.roster()) : options.link;
  context.multicast_off = !options.allow_multicast;
  return context;
}

/// What tells the row of a point from others, which is all that a resumed file is asked for.
Measurement unmeasured_row(const OverlapPoint& point, int ranks, const RowContext& context) {
  OverlapSamples any;
  any.collective_alone = any.collective_beside = any.gemm_alone = any.gemm_beside = {1};
  return overlap_row(point, ranks, context, any, "");
}

std::size_t most_bytes(const std::vector<OverlapPoint>& points) {
  std::size_t most = 0;
  for (const OverlapPoint& point : points) most = std::max<std::size_t>(most, point.bytes);
  return most;
}

}  // namespace

int list_overlap(const Options& options, int processes, int visible_gpus) {
  const int ranks = options.local_ranks().value_or(visible_gpus);
  fmt::print("{}",
             overlap_list_text(overlap_points(options, ranks, processes), overlap_effort(options), ranks));
  return static_cast<int>(ExitCode::ok);
}

int run_overlap(const Options& options, const ProcessPlace& place, int ranks, const std::string& header) {
  const auto begin = Clock::now();
  const std::vector<OverlapPoint> points = overlap_points(options, ranks, place.size);
  const OverlapEffort effort = overlap_effort(options);
  using Existing = measure::ResultFile::Existing;
  measure::ResultFile file(options.output, options.resume ? Existing::resume : Existing::refuse);
  file.append_line(header);
  std::FILE* stream = options.output == "-" ? stderr : stdout;
  fmt::print(stream, "# sextant-measure nccl --overlap: {} GPUs, {} points, no new one after {}\n{}", ranks,
             points.size(), measure::duration_text(effort.seconds), overlap_heading());
  std::fflush(stream);

  const NcclLibrary nccl = load_nccl(options.nccl_library);
  const WorldSetup setup = world_setup(options, place, ranks);
  World world(nccl, setup);
  const std::size_t pool_bytes = world.allocate_pools(most_bytes(points));
  if (pool_bytes < most_bytes(points))
    throw InputError(
        fmt::format("nccl --overlap: found room for {} bytes, expected {}", pool_bytes, most_bytes(points)));
  const RowContext context = row_context(options, world);
  OverlapRunner runner(options, world, pool_bytes, setup.timeout_seconds);
  std::unique_ptr<ChannelComms> comms;
  std::optional<int> comms_channels;
  std::size_t measured = 0, left_out = 0, unfinished = 0;
  for (const OverlapPoint& point : points) {
    if (measure::interrupted() || seconds_since(begin) > effort.seconds) {
      ++unfinished;
      continue;
    }
    if (options.resume && file.has(unmeasured_row(point, ranks, context))) continue;
    if (comms_channels != point.channels) {
      comms.reset();
      comms = std::make_unique<ChannelComms>(nccl, world.local(), point.channels);
      comms_channels = point.channels;
    }
    const std::optional<OverlapSamples> samples = runner.measure(point, *comms, effort.samples);
    if (!samples) {
      ++left_out;
      fmt::print(stream, "# left out, one outlasted no unit of the other: {}\n", point.text());
      continue;
    }
    const Measurement row = overlap_row(point, ranks, context, *samples, nccl.version());
    file.append(row);
    fmt::print(stream, "{}", overlap_line(point, std::get<OverlapRow>(row.row)));
    std::fflush(stream);
    ++measured;
  }
  fmt::print(stream, "# {} points measured in {}, {} left out, {} not reached; in {}\n", measured,
             measure::duration_text(seconds_since(begin)), left_out, unfinished, file.path());
  if (measure::interrupted()) return static_cast<int>(ExitCode::interrupted);
  return static_cast<int>(measured > 0 ? ExitCode::ok : ExitCode::failure);
}

}  // namespace sextant::nccl
