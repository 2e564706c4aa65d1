#pragma once
#include <string>
#include <vector>

namespace sextant::measure_fabric {

/// `sextant-measure fabric`. Returns an exit code: 1 when a pair failed, whose reason is printed while the
/// others go on; throws Error.
int run_fabric_command(const std::vector<std::string>& arguments, const std::string& version);

}  // namespace sextant::measure_fabric
