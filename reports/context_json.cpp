#include "reports/context_json.hpp"

#include <nlohmann/json.hpp>

#include "reports/plan_sections.hpp"

namespace sextant {

using Json = nlohmann::ordered_json;

Json question_json(const Scenario& scenario) {
  Json slo = Json::array();
  for (const ServiceLevel& level : scenario.slo)
    slo.push_back({{"metric", level.metric}, {"at_most", level.at_most}, {"bound", level.bound}});
  return {{"question", detail::question_lines(scenario)},
          {"description", scenario.description},
          {"slo", slo},
          {"has_economics", scenario.economics.has_value()}};
}

}  // namespace sextant
