#pragma once
#include "models/base/json_reader.hpp"
#include "sim/cli/command_line.hpp"

namespace sextant {

/// `sextant plan` where the cluster is to be bought; the words are plan's.
int run_purchase(const JsonValue& document, const ParsedWords&);

}  // namespace sextant
