#include "calibrate/measure/nccl/measuring_process.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>
#include <set>

#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/nccl/plan/rows.hpp"
#include "calibrate/measure/nccl/plan/table_text.hpp"
#include "calibrate/measure/nccl/point_runner.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t least_pool_bytes = std::size_t{256} << 20;  // so that small messages rotate, too
constexpr double usual_timeout_seconds = 120;

WorldSetup world_setup(const Options& options, const ProcessPlace& place, int visible_gpus) {
  WorldSetup setup;
  const LocalShape shape = local_shape(options, place, visible_gpus);
  setup.place = place;
  setup.meeting = meeting_point(options.rendezvous, place, environment_variable);
  constexpr int blocks_per_process = 10'000;
  setup.generation = options.child.process * blocks_per_process + options.child.first_block;
  setup.threads = shape.threads;
  setup.gpus_per_thread = shape.gpus_per_thread;
  setup.null_stream = options.null_stream;
  setup.timeout_seconds = options.timeout_seconds > 0 ? options.timeout_seconds : usual_timeout_seconds;
  return setup;
}

std::size_t wanted_pool_bytes(const Process& process) {
  std::uint64_t largest = 0;
  for (const Block& block : process.blocks)
    for (const std::uint64_t bytes : block.sizes) largest = std::max(largest, bytes);
  return std::max<std::size_t>(2 * largest, least_pool_bytes);
}

/// Tables to the terminal, rows to the parent: only the process that leads says anything.
class Voice {
 public:
  Voice(const Options& options, bool leads)
      : table_(options.output == "-" ? stderr : stdout),
        pipe_(options.child.rows_descriptor),
        leads_(leads) {}

  void print(const std::string& text) const {
    if (!leads_) return;
    std::fputs(text.c_str(), table_);
    std::fflush(table_);
  }
  /// The parent of every process hears this.
  void tell_parent(const std::string& line) const {
    const std::string text = line + "\n";
    for (std::size_t sent = 0; pipe_ >= 0 && sent < text.size();) {
      const ssize_t bytes = write(pipe_, text.data() + sent, text.size() - sent);
      if (bytes <= 0) throw Error(ExitCode::failure, "nccl: the parent process no longer listens");
      sent += static_cast<std::size_t>(bytes);
    }
  }
  bool leads() const { return leads_; }

 private:
  std::FILE* table_;
  int pipe_;
  bool leads_;
};

/// Runs the blocks of one process.
class BlockLoop {
 public:
  BlockLoop(World& world, const Options& options, const Process& process, const Voice& voice,
            Clock::time_point begin)
      : world_(world),
        options_(options),
        process_(process),
        voice_(voice),
        begin_(begin),
        runner_(world, options, limits(options), world.allocate_pools(wanted_pool_bytes(process))) {
    if (options.resume && world.leads())
      for_each_measurement(options.output, [&](const Measurement& row, std::size_t) {
        if (!std::holds_alternative<OtherRow>(row.row)) known_.insert(measure::row_identity(row));
      });
  }

  void run() {
    for (std::size_t i = static_cast<std::size_t>(options_.child.first_block);
         i < process_.blocks.size() && !stopped_; ++i) {
      voice_.tell_parent(fmt::format("block {}", i));
      run_block(process_.blocks[i]);
    }
    voice_.print(table_footer(wrong_points_, cells_ ? sum_of_busbw_ / static_cast<double>(cells_) : 0));
    if (resumed_points_)
      voice_.print(fmt::format("# {} points were in {} already\n", resumed_points_, options_.output));
    if (wrong_points_) voice_.tell_parent(fmt::format("wrong {}", wrong_points_));
  }
  bool stopped_by_user() const { return interrupted_; }
  bool cut_short() const { return stopped_; }

 private:
  void run_block(const Block& block) {
    bool headed = false;
    for (const std::uint64_t bytes : block.sizes) {
      if (!runner_.fits(block, bytes)) {
        voice_.print(
            fmt::format("# {} of {} B left out: {}\n", name(block.operation), bytes,
                        bytes > least_pool_bytes ? "not enough memory" : "less than 16 bytes for each rank"));
        continue;
      }
      const Layout counts =
          layout(block.operation, bytes, bytes_of(block.type), static_cast<int>(block.members.size()));
      const auto size = static_cast<double>(size_bytes(counts, bytes_of(block.type)));
      if (to_stop()) return;
      if (measured_before(block, size)) {
        ++resumed_points_;
        continue;
      }
      if (!std::exchange(headed, true))
        voice_.print(fmt::format("#\n# {}: {}\n{}", process_.variant.text(), block.text(), table_heading()));
      const TableCell out_of_place = run_point(block, bytes, size, false);
      std::optional<TableCell> in_place;
      if (block.in_place && has_in_place(block.operation)) in_place = run_point(block, bytes, size, true);
      voice_.print(table_line(static_cast<std::size_t>(size), counts.count, name(block.type),
                              reduces(block.operation) ? name(block.reduction) : "none",
                              has_root(block.operation) ? block.root : -1, out_of_place, in_place) +
                   "\n");
    }
  }

  TableCell run_point(const Block& block, std::uint64_t bytes, double size, bool in_place) {
    const PointResult result = runner_.measure(block, bytes, in_place);
    TableCell cell;
    cell.us = result.us.interval.median;
    cell.wrong = result.wrong;
    cell.bandwidth = bandwidth(block.operation, size, cell.us * 1e-6, static_cast<int>(block.members.size()));
    sum_of_busbw_ += cell.bandwidth.busbw;
    ++cells_;
    if (result.wrong.value_or(0) > 0) {
      ++wrong_points_;
      return cell;  // a wrong result's time is no measurement
    }
    if (!world_.leads()) return cell;
    std::optional<Measurement> row = row_of(block, process_.variant, size, in_place, context_of(block));
    if (!row) return cell;
    const std::string how = result.ping_pong                     ? "half a round trip; "
                            : block.operation == Operation::send ? "stream one way; "
                                                                 : "";
    set_time(*row, cell.us,
             fmt::format("NCCL {}; {}{}{}", world_.nccl().version(), how, result.us.note(),
                         result.wrong ? "" : "; not checked"));
    voice_.tell_parent(write_measurement(*row));
    return cell;
  }

  /// NCCL has no all-to-all or send/recv in place.
  static bool has_in_place(Operation operation) {
    return operation != Operation::all_to_all && !is_between_two(operation);
  }

  bool measured_before(const Block& block, double size) {
    double known = 0;
    if (world_.leads() && !known_.empty()) {
      const auto has = [&](bool in_place) {
        const auto row = row_of(block, process_.variant, size, in_place, context_of(block));
        return row && known_.contains(measure::row_identity(*row));
      };
      known = has(false) && (!block.in_place || !has_in_place(block.operation) || has(true)) ? 1 : 0;
    }
    return options_.resume && world_.most(known) > 0;
  }

  bool to_stop() {
    const double seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    const bool late = options_.child.seconds > 0 && seconds > options_.child.seconds;
    const std::vector<double> agreed = world_.most({late ? 1.0 : 0.0, measure::interrupted() ? 1.0 : 0.0});
    interrupted_ = agreed[1] > 0;
    if (agreed[0] > 0 && !stopped_)
      voice_.print(fmt::format("# {}: stopped after its share of --seconds ({:.0f} s)\n",
                               process_.variant.text(), options_.child.seconds));
    stopped_ = agreed[0] > 0 || interrupted_;
    return stopped_;
  }

  const RowContext& context_of(const Block& block) {
    const auto [found, added] = contexts_.try_emplace(block.members);
    if (!added) return found->second;
    std::vector<RankPlace> places;
    std::set<std::string> hosts;
    for (const int rank : block.members) {
      places.push_back(world_.roster()[static_cast<std::size_t>(rank)]);
      hosts.insert(places.back().host);
    }
    RowContext& context = found->second;
    context.gpu = options_.gpu;
    context.source = options_.source;
    context.link = options_.link.empty() ? link_of_group(places) : options_.link;
    context.nodes = static_cast<int>(hosts.size());
    context.multicast_off = !options_.allow_multicast;
    return context;
  }

  World& world_;
  const Options& options_;
  const Process& process_;
  const Voice& voice_;
  Clock::time_point begin_;
  PointRunner runner_;
  std::set<std::string> known_;
  std::map<std::vector<int>, RowContext> contexts_;
  long long wrong_points_ = 0;
  std::size_t cells_ = 0, resumed_points_ = 0;
  double sum_of_busbw_ = 0;
  bool stopped_ = false, interrupted_ = false;
};

std::string devices_text(const World& world) {
  std::string text = "# Using devices\n";
  for (std::size_t rank = 0; rank < world.roster().size(); ++rank) {
    const RankPlace& place = world.roster()[rank];
    text += fmt::format("#  Rank {:2} Group {:2} Pid {:6} on {:>10} device {:2} [{}] {}\n", rank, 0,
                        place.pid, place.host, place.device, place.bus_id, place.device_name);
  }
  return text;
}

}  // namespace

LocalShape local_shape(const Options& options, const ProcessPlace& place, int visible_gpus) {
  if (options.local_ranks()) return {options.threads.value_or(1), options.gpus_per_thread.value_or(1)};
  return {place.size > 1 ? 1 : std::max(visible_gpus, 1), 1};
}

int run_measuring_process(const Options& options, const ProcessPlace& place, const Plan& plan,
                          int visible_gpus) {
  const auto begin = Clock::now();
  measure::watch_for_interrupt();
  const Process& process = plan.processes.at(static_cast<std::size_t>(options.child.process));
  const NcclLibrary nccl = load_nccl(options.nccl_library);
  const Voice voice(options, place.rank == 0);
  bool interrupted = false;
  {
    World world(nccl, world_setup(options, place, visible_gpus));
    if (options.child.process == 0 && options.child.first_block == 0) voice.print(devices_text(world));
    BlockLoop loop(world, options, process, voice, begin);
    loop.run();
    interrupted = loop.stopped_by_user();
    if (loop.cut_short()) voice.tell_parent("cut short");
    voice.tell_parent("done");
  }
  return static_cast<int>(interrupted ? ExitCode::interrupted : ExitCode::ok);
}

}  // namespace sextant::nccl
