#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sextant {

/// A document of YAML in block style, ending with a line end. Every text is in double quotes, as JSON writes
/// it (which YAML reads alike), so that nothing in it can be taken for YAML; keys are quoted unless plain
/// words.
std::string yaml(const nlohmann::ordered_json&);

}  // namespace sextant
