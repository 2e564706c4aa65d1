#include "calibrate/measure/tcp/tcp_options.hpp"

#include <fmt/core.h>

#include <boost/program_options.hpp>

#include "calibrate/measure/common/size_text.hpp"
#include "models/base/error.hpp"

namespace sextant::tcp {
namespace {

namespace program_options = boost::program_options;

constexpr int most_streams = 64, most_port = 65535;
constexpr double most_seconds = 3600;

program_options::options_description known_options(Options& options) {
  program_options::options_description known;
  known.add_options()("server,s", "")("once,1", "")("reverse,R", "")("resume", "")("help,h", "")("list", "")(
      "port,p", program_options::value(&options.port))("time,t", program_options::value(&options.seconds))(
      "parallel,P", program_options::value<std::string>())(
      "output,o", program_options::value(&options.output))("source", program_options::value(&options.source))(
      "pair", program_options::value(&options.pair))("connect-seconds",
                                                     program_options::value(&options.connect_seconds))(
      "patience", program_options::value(&options.patience_seconds))(
      "wait", program_options::value(&options.wait_seconds))("host", program_options::value<std::string>());
  return known;
}

void check_seconds(const char* option, double value) {
  if (!(value > 0) || value > most_seconds)
    throw InputError(fmt::format("tcp: {}: found {}, expected seconds above 0, at most 3600", option, value));
}

void check(const Options& options) {
  if (options.port < 1 || options.port > most_port)
    throw InputError(fmt::format("tcp: --port: found {}, expected 1 to 65535", options.port));
  check_seconds("--time", options.seconds);
  check_seconds("--connect-seconds", options.connect_seconds);
  check_seconds("--patience", options.patience_seconds);
  for (const int count : options.streams)
    if (count > most_streams)
      throw InputError(fmt::format("tcp: --parallel: found {}, expected 1 to {}", count, most_streams));
  if (options.help || options.list) return;
  if (options.server && !options.host.empty())
    throw InputError(
        fmt::format("tcp: found --server and the host \"{}\", expected one of them", options.host));
  if (!options.server && options.host.empty())
    throw InputError("tcp: found no host, expected the server's name, or --server to be one");
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  options.arguments = arguments;
  program_options::variables_map values;
  try {
    using Style = program_options::command_line_style::style_t;
    program_options::positional_options_description positional;
    positional.add("host", 1);
    program_options::store(program_options::command_line_parser(arguments)
                               .options(known_options(options))
                               .positional(positional)
                               .style(Style::default_style & ~Style::allow_guessing)
                               .run(),
                           values);
    program_options::notify(values);
  } catch (const program_options::error& error) {
    throw InputError(fmt::format("tcp: {}; see sextant-measure tcp --help", error.what()));
  }
  options.server = values.contains("server");
  options.once = values.contains("once");
  options.reverse = values.contains("reverse");
  options.resume = values.contains("resume");
  options.help = values.contains("help");
  options.list = values.contains("list");
  if (values.contains("host")) options.host = values["host"].as<std::string>();
  if (values.contains("parallel")) {
    options.streams.clear();
    for (const auto count :
         measure::parse_size_list(values["parallel"].as<std::string>(), "tcp: --parallel", 1))
      options.streams.push_back(static_cast<int>(std::min<std::int64_t>(count, most_streams + 1)));
  }
  check(options);
  return options;
}

std::string help_text() {
  return R"(sextant-measure tcp --server [options]
sextant-measure tcp [options] HOST

Bandwidth of TCP between two hosts, with 1 to 16 streams: what line rate and sockets give, beside what RDMA gives.

  sextant-measure tcp --server              # on host a, until Ctrl-C
  sextant-measure tcp -o tcp.jsonl a        # on host b: 1, 2, 4, 8 and 16 streams from b to a

  -P, --parallel LIST   streams, such as 1,8          -t, --time SECONDS   of each (5)
  -R, --reverse         from the server to here       -p, --port N         (5202)
  -1, --once            a server ends after one client
  -o, --output FILE     measurement file (JSON Lines), '-' is stdout; --resume adds what is missing
      --source TEXT, --pair TEXT   for the rows
      --wait SECONDS    a server to which no client comes ends then (never)
      --connect-seconds S, --patience S   how long to wait for an answer (5 and 5)
      --list            what would be measured
Gbit/s (10^9) of payload that the receiver took in, after a first tenth that does not count.
)";
}

}  // namespace sextant::tcp
