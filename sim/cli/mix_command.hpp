#pragma once
#include "models/base/json_reader.hpp"
#include "sim/cli/command_line.hpp"

namespace sextant {

/// `sextant plan` of a page with several models on one cluster. Throws as plan_mix.
int run_mix(const JsonValue& document, const ParsedWords&);

}  // namespace sextant
