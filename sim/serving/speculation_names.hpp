#pragma once
#include <string>
#include <vector>

#include "sim/serving/speculation.hpp"

namespace sextant {

/// vLLM's names of the methods, in the order of Speculation::Method.
std::vector<std::string> speculation_methods();
std::string to_string(Speculation::Method);

}  // namespace sextant
