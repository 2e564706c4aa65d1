#pragma once
#include <map>
#include <string>
#include <vector>

namespace sextant::measure {

/// Where a measurement file's rows come from: its header line.
struct Provenance {
  std::string tool = "sextant-measure";
  std::string version;                         ///< of the program, git revision included
  std::vector<std::string> arguments;          ///< as typed
  std::string gpu;                             ///< catalogue name; may be empty
  std::map<std::string, std::string> details;  ///< driver, CUDA, NCCL, clocks, power limit, topology ...
};

/// {"kind":"context", ...} without line end: the provenance with host name, kernel, processor and the date
/// (UTC) of now.
std::string context_line(const Provenance&);

/// Host name of this machine, "unknown" if it has none.
std::string host_name();
/// "2026-11-21T10:15:21Z".
std::string utc_now();

}  // namespace sextant::measure
