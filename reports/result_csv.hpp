#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sextant {

/// A saved result as the CSV its command writes (plan, sweep, validate), a simulation as one row for each
/// replication (RFC 4180).
std::string result_csv(const nlohmann::ordered_json& result);

}  // namespace sextant
