#pragma once
#include <string>
#include <vector>

namespace sextant::tcp {

/// The command line of `sextant-measure tcp`: iperf3's flags where they exist.
struct Options {
  bool server = false, once = false, reverse = false, resume = false, help = false, list = false;
  std::string host;  ///< empty on a server
  int port = 5202;   ///< one above iperf3's, so that both can wait on a host
  std::vector<int> streams = {1, 2, 4, 8, 16};
  double seconds = 5;  ///< of each count of streams
  double connect_seconds = 5, patience_seconds = 5;
  double wait_seconds = -1;  ///< of a server for a client; below 0: for ever
  std::string output, source;
  std::string pair;                    ///< for the rows; empty: the hosts' names, sender first
  std::vector<std::string> arguments;  ///< as given
};

/// Reads the arguments after `tcp`. Throws InputError naming the option, what was found and what is expected.
Options parse_options(const std::vector<std::string>& arguments);

/// What `--help` prints, with a working example.
std::string help_text();

}  // namespace sextant::tcp
