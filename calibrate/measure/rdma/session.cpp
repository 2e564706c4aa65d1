#include "calibrate/measure/rdma/session.hpp"

#include <fmt/core.h>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/rdma/ping_pong.hpp"
#include "calibrate/measure/rdma/stream.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

/// Time for a block's buffers to be made, registered, filled and summed, on top of patience.
double allowance(const BlockRequest& request) {
  constexpr double slow_bytes_per_second = 50e6;
  const auto bytes = static_cast<double>(request.block.sizes.at(0)) * request.block.qps * 2;
  return request.patience_seconds + bytes / slow_bytes_per_second;
}

}  // namespace

Parties greet(const Options& options, const Device& device, tcp::Control& control,
              const std::string& version) {
  Parties parties;
  Hello& own = parties.own;
  own.version = version;
  own.settings = options.server ? options.given : options.effective();
  own.host = measure::host_name();
  own.device = device.name();
  own.gid = choose_gid(device.gids(), options.gid_index, device.name());
  own.active_mtu = device.active_mtu();
  own.rate_gbps = device.rate_gbps();
  own.gpu = options.gpu_memory();
  control.send(own.write());
  parties.peer = Hello::read(control.expect("hello", options.patience_seconds));
  const Hello& client = options.server ? parties.peer : own;
  const Hello& server = options.server ? own : parties.peer;
  if (const std::string problem = disagreement(client, server); !problem.empty()) throw InputError(problem);
  return parties;
}

Connected::Connected(const Options& options, const Device& device, tcp::Control& control,
                     const Parties& parties, const BlockRequest& request, Role role)
    : options_(options),
      control_(control),
      role_(role),
      buffer_(device, request.block.gpu ? options.gpu : -1, request.block.qps, request.block.sizes.at(0)),
      pairs_(device, buffer_, request, parties.own.gid) {
  control.send(pairs_.endpoint().write());
  const Endpoint peer = Endpoint::read(control.expect("endpoint", allowance(request)));
  pairs_.connect(peer, parties.peer.gid);
  control.send(tcp::plain_message("connected"));
  control.expect("connected", allowance(request));
  if (role == Role::client)
    probe(pairs_, control);
  else
    take_probes(pairs_, control);
}

/// Messages of a stream go from the client to the server, what is read from the server to the client; both
/// ways and in a ping-pong both take.
bool Connected::takes_data() const {
  const Block& block = pairs_.request().block;
  const bool reads = block.operation == Operation::read;
  if (block.both_ways || (block.test == Test::latency && !reads)) return true;
  return reads == (role_ == Role::client);
}

void Connected::compare(const PointRequest& point, const std::vector<std::uint64_t>& expected) {
  double wrong = 0;
  if (takes_data()) {
    const std::vector<std::uint64_t> found = buffer_.intake_sums(point.bytes);
    for (std::size_t i = 0; i < found.size(); ++i)
      wrong += i < expected.size() && found[i] == expected[i] ? 0 : 1;
  }
  control_.send(tcp::plain_message("verdict", {{"wrong", wrong}}));
  const double theirs = control_.expect("verdict", allowance(pairs_.request())).number("wrong", {0});
  if (wrong + theirs == 0) return;
  throw Error(
      ExitCode::failure,
      fmt::format(
          "{} of {} B: the data that arrived {} differ from those that were sent (checksums of {:.0f} of {} "
          "queue pairs); nothing of this point is kept",
          pairs_.request().block.text(), point.bytes, wrong > 0 ? "here" : "at " + control_.peer(),
          std::max(wrong, theirs), pairs_.count()));
}

Connected::Outcome Connected::run(const PointRequest& point) {
  const Block& block = pairs_.request().block;
  const double patience = allowance(pairs_.request());
  const bool client = role_ == Role::client;
  constexpr std::uint64_t seed_of_server = std::uint64_t{1} << 32;
  if (client) control_.send(point.write());
  std::vector<std::uint64_t> sums = buffer_.prepare(point.seed + (client ? 0 : seed_of_server), point.bytes);
  if (options_.corrupt_byte) buffer_.corrupt(point.bytes);
  // Neither starts before the other's memory is ready for it.
  if (client) {
    control_.expect("ready", patience);
    control_.send(tcp::plain_message("go"));
  } else {
    control_.send(tcp::plain_message("ready"));
    control_.expect("go", patience);
  }
  Outcome outcome;
  if (block.test == Test::bandwidth) {
    outcome.own = run_stream(pairs_, control_, point,
                             {.posts = client || block.both_ways, .peer_posts = !client || block.both_ways});
  } else if (client) {
    outcome.samples = ping(pairs_, control_, point);
  } else {
    pong(pairs_, control_, point);
  }
  // The last byte of a written ping-pong counts its turns.
  if (block.test == Test::latency && block.operation == Operation::write) {
    if (options_.corrupt_byte) buffer_.corrupt(point.bytes);
    sums = buffer_.supply_sums(point.bytes);
  }
  outcome.own.sums = sums;
  control_.send(outcome.own.write());
  outcome.peer = PointResult::read(control_.expect("result", patience));
  compare(point, outcome.peer.sums);
  return outcome;
}

}  // namespace sextant::rdma
