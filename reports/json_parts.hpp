#pragma once
#include <nlohmann/json_fwd.hpp>
#include <vector>

// What several result documents write alike.
namespace sextant::detail {

/// The number; null where it is infinite or not one.
nlohmann::ordered_json finite(double value);

/// The entries of these lists one after another, each once.
nlohmann::ordered_json each_once(const std::vector<nlohmann::ordered_json>& lists);

}  // namespace sextant::detail
