#include <fmt/core.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/rdma/commands.hpp"
#include "calibrate/measure/rdma/plan/table.hpp"
#include "calibrate/measure/rdma/session.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

constexpr int usual_bandwidth_messages = 5000, usual_latency_messages = 1000;  // perftest's
constexpr std::int64_t as_time_allows = 1'000'000'000;

/// The whole run of one client, from its greeting to its last row.
class Client {
 public:
  Client(const Options& options, const std::string& version)
      : options_(options),
        version_(version),
        device_(options.device, options.ib_port),
        control_(tcp::connect_to(options.host, options.port, options.connect_seconds),
                 "server " + options.host) {}

  int run() {
    try {
      parties_ = greet(options_, device_, control_, version_);
      choose_mtu();
      open_files();
      announce();
      for (const Block& block : options_.blocks()) measure(block);
      compare_memories();
      control_.send(tcp::plain_message("bye"));
    } catch (const CompletionError& error) {
      control_.prefer_reason_of_peer();
      control_.send_error(error.what());
      throw;
    } catch (const Interrupted&) {
      control_.send_error("the client was interrupted");
      throw;
    } catch (const Error& error) {
      control_.send_error(error.what());
      throw;
    }
    fmt::print(out(), "# {} points measured{}\n", figures_.size(),
               file_ && file_->path() != "-" ? ", in " + file_->path() : "");
    return static_cast<int>(ExitCode::ok);
  }

 private:
  struct Measured {
    Block block;
    PointFigures figures;
  };

  std::FILE* out() const { return options_.output == "-" ? stderr : stdout; }

  void choose_mtu() {
    const auto check = [&](int active, const std::string& where) {
      if (options_.mtu && *options_.mtu > active)
        throw InputError(
            fmt::format("-m {}: found an active RDMA MTU of {} on {}, expected at least as much; raise its "
                        "interface's MTU (9000 gives 4096)",
                        *options_.mtu, active, where));
    };
    check(parties_.own.active_mtu, device_.name());
    check(parties_.peer.active_mtu, fmt::format("{} of {}", parties_.peer.device, parties_.peer.host));
    row_context_.mtu = options_.mtu.value_or(std::min(parties_.own.active_mtu, parties_.peer.active_mtu));
    if (!options_.mtu && parties_.own.active_mtu != parties_.peer.active_mtu)
      fmt::print(stderr, "sextant-measure: rdma: active RDMA MTUs differ, {} here and {} there: using {}\n",
                 parties_.own.active_mtu, parties_.peer.active_mtu, row_context_.mtu);
  }

  void open_files() {
    row_context_.device = device_.name();
    row_context_.rate_gbps = std::min(parties_.own.rate_gbps, parties_.peer.rate_gbps);
    row_context_.source = options_.source.empty() ? "sextant-measure " + version_ : options_.source;
    row_context_.pair = options_.pair;
    using Existing = measure::ResultFile::Existing;
    const Existing existing = options_.resume ? Existing::resume : Existing::refuse;
    if (!options_.samples.empty()) samples_.emplace(options_.samples, Existing::refuse);
    if (options_.output.empty()) return;
    file_.emplace(options_.output, existing);
    measure::Provenance provenance;
    provenance.version = version_;
    provenance.arguments = {"rdma"};
    provenance.arguments.insert(provenance.arguments.end(), options_.arguments.begin(),
                                options_.arguments.end());
    provenance.details = device_.details();
    provenance.details["rdma_gid"] = gid_text(parties_.own.gid);
    provenance.details["server_gid"] = gid_text(parties_.peer.gid);
    provenance.details["server_host"] = parties_.peer.host;
    provenance.details["server_device"] = parties_.peer.device;
    for (const auto& [name, value] : options_.effective()) provenance.details["setting " + name] = value;
    if (options_.gpu_memory()) provenance.details["gpu_driver_name"] = GpuMemory::gpu_name(options_.gpu);
    file_->append_line(measure::context_line(provenance));
  }

  static std::string gid_text(const Gid& gid) {
    return fmt::format("{} {} {}", gid.index, name(gid.type), gid.text());
  }

  void announce() const {
    fmt::print(out(), "# sextant-measure rdma: {} (GID {}) to {} of {} (GID {}), port rate {:g} Gbit/s\n",
               device_.name(), gid_text(parties_.own.gid), parties_.peer.device, parties_.peer.host,
               gid_text(parties_.peer.gid), row_context_.rate_gbps);
    std::fflush(out());
  }

  void measure(const Block& block) {
    std::vector<std::int64_t> missing;
    for (const std::int64_t bytes : block.sizes)
      if (!file_ || !file_->has(row_of(block, bytes, row_context_))) missing.push_back(bytes);
    if (missing.empty()) return;
    BlockRequest request;
    request.block = block;
    request.block.sizes = {*std::max_element(missing.begin(), missing.end())};
    request.tx_depth = options_.tx_depth;
    request.rx_depth = options_.rx_depth;
    request.inline_given = options_.inline_bytes.has_value();
    request.inline_bytes = options_.inline_bytes.value_or(0);
    request.cq_moderation = options_.cq_moderation.value_or(0);
    request.mtu = row_context_.mtu;
    request.service_level = options_.service_level;
    request.traffic_class = options_.traffic_class;
    request.qp_timeout = options_.qp_timeout;
    request.patience_seconds = options_.patience_seconds;
    control_.send(request.write());
    Connected connected(options_, device_, control_, parties_, request, Role::client);
    row_context_.gpu_path = block.gpu ? connected.memory_path() : std::string();
    fmt::print(out(), "{}", table_heading(block, row_context_));
    std::fflush(out());
    for (const std::int64_t bytes : missing) {
      if (measure::interrupted()) throw Interrupted();
      keep(block, bytes, connected.run(point(block, bytes)));
    }
    control_.send(tcp::plain_message("block_end"));
  }

  PointRequest point(const Block& block, std::int64_t bytes) {
    PointRequest request;
    request.bytes = bytes;
    const bool latency = block.test == Test::latency;
    request.iterations =
        options_.iterations.value_or(latency ? usual_latency_messages : usual_bandwidth_messages);
    if (options_.given.contains("duration")) request.iterations = as_time_allows;
    if (!options_.iterations || options_.given.contains("duration")) request.seconds = options_.seconds;
    request.seed = seed_();
    return request;
  }

  void keep(const Block& block, std::int64_t bytes, const Connected::Outcome& outcome) {
    PointFigures figures;
    figures.bytes = bytes;
    if (block.test == Test::latency) {
      figures.latency = statistics(outcome.samples);
      figures.iterations = static_cast<double>(figures.latency.samples);
    } else {
      for (const PointResult& stream : {outcome.own, outcome.peer}) {
        if (stream.messages == 0 || stream.seconds <= 0) continue;
        figures.iterations += stream.messages;
        figures.messages_per_second += stream.messages / stream.seconds;
        figures.best_messages_per_second += stream.best_rate;
      }
    }
    fmt::print(out(), "{}", table_line(block, figures));
    std::fflush(out());
    if (file_) file_->append(row_of(block, figures, row_context_));
    if (samples_ && block.test == Test::latency)
      samples_->append_line(nlohmann::json{
          {"op", name(block.operation)}, {"bytes", bytes}, {"gdr", block.gpu}, {"us", outcome.samples}}
                                .dump());
    figures_.push_back({block, figures});
  }

  /// GPUDirect works where GPU memory is within a few percent of host memory.
  void compare_memories() const {
    bool first = true;
    for (const Measured& gpu : figures_) {
      if (!gpu.block.gpu) continue;
      for (const Measured& host : figures_) {
        Block twin = gpu.block;
        twin.gpu = false;
        if (host.block.gpu || host.block.text() != twin.text() || host.figures.bytes != gpu.figures.bytes)
          continue;
        if (first) fmt::print(out(), "# GPU memory beside host memory\n");
        first = false;
        const bool latency = gpu.block.test == Test::latency;
        const double there = latency ? gpu.figures.latency.median : gpu.figures.gbps();
        const double here = latency ? host.figures.latency.median : host.figures.gbps();
        fmt::print(out(), "# {:<24} {:>8} B: {:.2f} and {:.2f} {}, {:.0f} %\n", twin.text(),
                   gpu.figures.bytes, there, here, latency ? "us" : "Gbit/s", 100 * there / here);
      }
    }
  }

  const Options& options_;
  const std::string& version_;
  Device device_;
  tcp::Control control_;
  Parties parties_;
  RowContext row_context_;
  std::optional<measure::ResultFile> file_, samples_;
  std::vector<Measured> figures_;
  std::random_device seed_;
};

}  // namespace

int run_client(const Options& options, const std::string& version) {
  return Client(options, version).run();
}

int list_blocks(const Options& options) {
  double points = 0;
  for (const Block& block : options.blocks()) {
    std::string sizes;
    for (const std::int64_t bytes : block.sizes) sizes += " " + measure::size_text(bytes);
    fmt::print("{}:{}\n", block.text(), sizes);
    points += static_cast<double>(block.sizes.size());
  }
  fmt::print("# {:.0f} points, at most about {}\n", points, measure::duration_text(points * options.seconds));
  return static_cast<int>(ExitCode::ok);
}

}  // namespace sextant::rdma
