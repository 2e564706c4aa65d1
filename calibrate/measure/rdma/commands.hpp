#pragma once
#include <string>

#include "calibrate/measure/rdma/plan/options.hpp"

namespace sextant::rdma {

/// Measures against the server that the options name, prints perftest's tables and writes the rows. Returns
/// an exit code.
int run_client(const Options&, const std::string& version);

/// Serves one client, or with --keep one after another until Ctrl-C. Returns an exit code.
int run_server(const Options&, const std::string& version);

/// Prints what would be measured and how long it takes.
int list_blocks(const Options&);

}  // namespace sextant::rdma
