#include "calibrate/measure/tcp/tcp_command.hpp"

#include <fmt/core.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>

#include "calibrate/measure/common/context.hpp"
#include "calibrate/measure/common/interrupt.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/tcp/control.hpp"
#include "calibrate/measure/tcp/flood.hpp"
#include "calibrate/measure/tcp/tcp_options.hpp"
#include "models/base/error.hpp"

namespace sextant::tcp {
namespace {

constexpr int protocol = 1;
constexpr std::size_t token_length = 16;  // what a data connection begins with

/// Greets; returns the other end's host name. Throws InputError when versions differ.
std::string greet(Control& control, const std::string& version, double patience_seconds) {
  control.send(nlohmann::json{{"type", "hello"},
                              {"measure", "tcp"},
                              {"protocol", protocol},
                              {"version", version},
                              {"host", measure::host_name()}}
                   .dump());
  const JsonObject hello = control.expect("hello", patience_seconds);
  const std::string theirs = hello.text("version");
  if (!hello.has("measure") || hello.integer("protocol") != protocol || theirs != version)
    throw InputError(fmt::format("{}: versions differ: {} (protocol {}) there, {} (protocol {}) here",
                                 control.peer(), theirs, hello.integer("protocol"), version, protocol));
  return hello.text("host");
}

std::string new_token() {
  std::random_device random;
  return fmt::format("{:08x}{:08x}", random(), random());
}

/// Data connections that begin with the token, within `seconds`; others are dropped.
std::vector<Socket> accept_streams(const Socket& listener, int count, const std::string& token,
                                   double seconds) {
  std::vector<Socket> streams;
  const auto begin = std::chrono::steady_clock::now();
  while (static_cast<int>(streams.size()) < count) {
    const double left =
        seconds - std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    Socket stream = accept_from(listener, std::max(left, 0.0));
    if (measure::interrupted()) throw Interrupted();
    if (!stream.valid())
      throw Error(ExitCode::failure,
                  fmt::format("{} of {} streams came within {:.0f} s", streams.size(), count, seconds));
    std::string found(token_length, '\0');
    if (readable(stream, 1) &&
        recv(stream.get(), found.data(), found.size(), MSG_WAITALL) == static_cast<ssize_t>(token_length) &&
        found == token)
      streams.push_back(std::move(stream));
  }
  return streams;
}

std::vector<Socket> connect_streams(const Options& options, int count, const std::string& token) {
  std::vector<Socket> streams;
  for (int i = 0; i < count; ++i) {
    streams.push_back(connect_to(options.host, options.port, options.connect_seconds));
    if (send(streams.back().get(), token.data(), token.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(token_length))
      throw Error(ExitCode::failure, fmt::format("server {}: closed a stream at once", options.host));
  }
  return streams;
}

template <class Work>
void tell_why(Control& control, const char* who, Work work) {
  try {
    work();
  } catch (const Interrupted&) {
    control.send_error(fmt::format("the {} was interrupted", who));
    throw;
  } catch (const Error& error) {
    control.send_error(error.what());
    throw;
  }
}

void serve(const Options& options, const std::string& version, const Socket& listener, Control& control) {
  constexpr double client_thinks_seconds = 60;
  fmt::print("# client {}\n", greet(control, version, options.patience_seconds));
  std::fflush(stdout);
  while (true) {
    const Message message = control.receive(client_thinks_seconds, "the next run");
    if (message.type == "bye") return;
    if (message.type != "run")
      throw Error(ExitCode::failure, fmt::format("{}: found the message \"{}\", expected \"run\"",
                                                 control.peer(), message.type));
    constexpr double most_streams = 64, most_seconds = 3600;
    const auto count = static_cast<int>(message.body.integer("streams", {1, most_streams}));
    const double seconds = message.body.number("seconds", {0, most_seconds});
    const std::vector<Socket> streams =
        accept_streams(listener, count, message.body.text("token"), options.patience_seconds);
    control.send(plain_message("ready"));
    if (message.body.boolean("reverse"))
      send_flood(streams, control, seconds, options.patience_seconds);
    else
      receive_flood(streams, control, seconds);
  }
}

int run_server(const Options& options, const std::string& version) {
  const Socket listener = listen_on(options.port);
  fmt::print("# sextant-measure tcp: waits on port {}\n", options.port);
  std::fflush(stdout);
  do {
    Socket client = accept_from(listener, options.wait_seconds);
    if (measure::interrupted()) throw Interrupted();
    if (!client.valid())
      throw Error(ExitCode::failure, fmt::format("tcp: no client came within {:g} s", options.wait_seconds));
    const std::string address = peer_address(client);
    Control control(std::move(client), "client " + address);
    try {
      tell_why(control, "server", [&] { serve(options, version, listener, control); });
    } catch (const Interrupted&) {
      throw;
    } catch (const Error& error) {
      if (options.once) throw;
      fmt::print(stderr, "sextant-measure: tcp: {}\n", error.what());
    }
  } while (!options.once);
  return static_cast<int>(ExitCode::ok);
}

/// One client's run over all counts of streams.
class Client {
 public:
  Client(const Options& options, const std::string& version)
      : options_(options),
        version_(version),
        control_(connect_to(options.host, options.port, options.connect_seconds), "server " + options.host) {}

  int run() {
    tell_why(control_, "client", [&] {
      const std::string theirs = greet(control_, version_, options_.patience_seconds);
      const std::string ours = measure::host_name();
      pair_ = options_.reverse ? theirs + "-" + ours : ours + "-" + theirs;
      if (!options_.pair.empty()) pair_ = options_.pair;
      open_file(theirs);
      fmt::print(out(), "# TCP from {} to {}\n#streams   Gbit/s   slowest and fastest tenth\n",
                 options_.reverse ? theirs : ours, options_.reverse ? ours : theirs);
      for (const int count : options_.streams) measure(count);
      control_.send(plain_message("bye"));
    });
    return static_cast<int>(ExitCode::ok);
  }

 private:
  std::FILE* out() const { return options_.output == "-" ? stderr : stdout; }

  void open_file(const std::string& server_host) {
    if (options_.output.empty()) return;
    using Existing = measure::ResultFile::Existing;
    file_.emplace(options_.output, options_.resume ? Existing::resume : Existing::refuse);
    measure::Provenance provenance;
    provenance.version = version_;
    provenance.arguments = {"tcp"};
    provenance.arguments.insert(provenance.arguments.end(), options_.arguments.begin(),
                                options_.arguments.end());
    provenance.details["server_host"] = server_host;
    file_->append_line(measure::context_line(provenance));
  }

  void measure(int count) {
    if (measure::interrupted()) throw Interrupted();
    TcpRow row;
    row.streams = count;
    row.pair = pair_;
    Measurement measurement{"", options_.source.empty() ? "sextant-measure " + version_ : options_.source, "",
                            row};
    if (file_ && file_->has(measurement)) return;
    const std::string token = new_token();
    control_.send(nlohmann::json{
        {"type", "run"},
        {"streams", count},
        {"seconds", options_.seconds},
        {"reverse", options_.reverse},
        {"token",
         token}}.dump());
    const std::vector<Socket> streams = connect_streams(options_, count, token);
    control_.expect("ready", options_.patience_seconds);
    const FloodResult result =
        options_.reverse ? receive_flood(streams, control_, options_.seconds)
                         : send_flood(streams, control_, options_.seconds, options_.patience_seconds);
    fmt::print(out(), "{:>8} {:>8.3f}   {:.3f} {:.3f}\n", count, result.gbps, result.slowest_gbps,
               result.fastest_gbps);
    std::fflush(out());
    std::get<TcpRow>(measurement.row).gbps = result.gbps;
    measurement.note = fmt::format("{:g} s, tenths {:.4g} to {:.4g} Gbit/s", options_.seconds,
                                   result.slowest_gbps, result.fastest_gbps);
    if (file_) file_->append(measurement);
  }

  const Options& options_;
  const std::string& version_;
  Control control_;
  std::string pair_;
  std::optional<measure::ResultFile> file_;
};

}  // namespace

int run_tcp_command(const std::vector<std::string>& arguments, const std::string& version) {
  const Options options = parse_options(arguments);
  if (options.help) {
    fmt::print("{}", help_text());
    return static_cast<int>(ExitCode::ok);
  }
  if (options.list) {
    for (const int count : options.streams) fmt::print("{} streams, {:g} s\n", count, options.seconds);
    return static_cast<int>(ExitCode::ok);
  }
  measure::watch_for_interrupt();
  return options.server ? run_server(options, version) : Client(options, version).run();
}

}  // namespace sextant::tcp
