#pragma once
#include <string>

#include "reports/text_style.hpp"

namespace sextant {

/// Every shipped profile: GPUs, links, engines and rules.
std::string list_profiles(TextStyle);

/// One shipped profile file with its provenance. Throws InputError naming the nearest.
std::string profile_entry(const std::string& name, TextStyle);

}  // namespace sextant
