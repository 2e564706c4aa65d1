#include <fmt/core.h>

#include <cstdio>

#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/rdma/commands.hpp"
#include "calibrate/measure/rdma/session.hpp"
#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

constexpr double client_thinks_seconds = 60;  // between its requests it writes files

void serve_block(const Options& options, const Device& device, tcp::Control& control, const Parties& parties,
                 const BlockRequest& request) {
  Connected connected(options, device, control, parties, request, Role::server);
  while (true) {
    const tcp::Message message = control.receive(client_thinks_seconds, "the next size");
    if (message.type == "block_end") return;
    if (message.type == "going") continue;
    if (message.type != "point")
      throw Error(ExitCode::failure, fmt::format("{}: found the message \"{}\", expected \"point\"",
                                                 control.peer(), message.type));
    connected.run(PointRequest::read(message.body));
  }
}

void serve(const Options& options, const Device& device, tcp::Control& control, const std::string& version) {
  try {
    const Parties parties = greet(options, device, control, version);
    fmt::print("# client {} of {}\n", parties.peer.device, parties.peer.host);
    std::fflush(stdout);
    while (true) {
      const tcp::Message message = control.receive(client_thinks_seconds, "the next block");
      if (message.type == "bye") return;
      if (message.type == "going") continue;
      if (message.type != "block")
        throw Error(ExitCode::failure, fmt::format("{}: found the message \"{}\", expected \"block\"",
                                                   control.peer(), message.type));
      serve_block(options, device, control, parties, BlockRequest::read(message.body));
    }
  } catch (const Interrupted&) {
    control.send_error("the server was interrupted");
    throw;
  } catch (const CompletionError& error) {
    control.prefer_reason_of_peer();
    control.send_error(error.what());
    throw;
  } catch (const Error& error) {
    control.send_error(error.what());
    throw;
  }
}

}  // namespace

int run_server(const Options& options, const std::string& version) {
  const Device device(options.device, options.ib_port);
  choose_gid(device.gids(), options.gid_index, device.name());  // better refused before a client comes
  const tcp::Socket listener = tcp::listen_on(options.port);
  fmt::print("# sextant-measure rdma: {} waits on port {}\n", device.name(), options.port);
  std::fflush(stdout);
  do {
    tcp::Socket client = tcp::accept_from(listener, options.wait_seconds);
    if (measure::interrupted()) throw Interrupted();
    if (!client.valid())
      throw Error(ExitCode::failure, fmt::format("rdma: no client came within {:g} s", options.wait_seconds));
    const std::string address = tcp::peer_address(client);
    tcp::Control control(std::move(client), "client " + address);
    try {
      serve(options, device, control, version);
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (!options.keep) throw;
      fmt::print(stderr, "sextant-measure: rdma: {}\n", error.what());
    }
  } while (options.keep);
  return static_cast<int>(ExitCode::ok);
}

}  // namespace sextant::rdma
