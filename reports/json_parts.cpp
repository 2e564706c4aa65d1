#include "reports/json_parts.hpp"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace sextant::detail {

using Json = nlohmann::ordered_json;

Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json each_once(const std::vector<Json>& lists) {
  Json all = Json::array();
  std::set<std::string> told;
  for (const Json& list : lists)
    for (const Json& entry : list)
      if (told.insert(entry.dump(-1, ' ', false, Json::error_handler_t::replace)).second)
        all.push_back(entry);
  return all;
}

}  // namespace sextant::detail
