#pragma once
#include <string>
#include <vector>

namespace sextant::measure_fabric {

/// A machine of the cluster: what the launcher calls it, and where the others reach it.
struct Host {
  std::string name;
  std::string address;  ///< the name unless the file says otherwise
};

/// A hosts file as MPI has it: a name on each line, then what MPI may want (`slots=4`) and, as an address to
/// measure over, `address=10.0.0.1`; `#` begins a comment. Throws InputError naming file and line.
std::vector<Host> read_hosts(const std::string& path);

/// The words of a command with {host} replaced: "ssh {host}" -> ssh, node-a.
std::vector<std::string> launch_words(const std::string& pattern, const std::string& host);

}  // namespace sextant::measure_fabric
