#pragma once
#include <string>
#include <vector>

namespace sextant::tcp {

/// `sextant-measure tcp`: server or client. Returns an exit code; throws Error.
int run_tcp_command(const std::vector<std::string>& arguments, const std::string& version);

}  // namespace sextant::tcp
