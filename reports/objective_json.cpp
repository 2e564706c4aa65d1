#include "reports/objective_json.hpp"

#include <nlohmann/json.hpp>

#include "reports/json_parts.hpp"
#include "sim/planner/choices.hpp"

namespace sextant::detail {
namespace {

using Json = nlohmann::ordered_json;

Json known(const std::optional<double>& value) {
  return value ? finite(*value) : Json(nullptr);
}

Json probe_json(const LoadProbe& probe) {
  Json metrics = Json::array();
  for (const MetricEstimate& metric : probe.metrics)
    metrics.push_back({{"metric", metric.level.metric},
                       {"bound", metric.level.bound},
                       {"at_most", metric.level.at_most},
                       {"mean", finite(metric.mean)},
                       {"low", finite(metric.low)},
                       {"high", finite(metric.high)},
                       {"verdict", to_string(metric.verdict)}});
  return {{"load", finite(probe.load)},
          {"verdict", to_string(probe.verdict)},
          {"replications", probe.replications},
          {"metrics", metrics},
          {"stopped", probe.stopped}};
}

}  // namespace

Json load_json(const std::optional<LoadSearch>& load) {
  if (!load) return nullptr;
  Json probes = Json::array();
  for (const LoadProbe& probe : load->probes) probes.push_back(probe_json(probe));
  return {{"unit", load->unit},
          {"highest", finite(load->highest)},
          {"fails_at", known(load->fails_at)},
          {"indeterminate_from", known(load->indeterminate_from)},
          {"gave_up", load->gave_up},
          {"stopped", load->stopped},
          {"probes", probes}};
}

Json choices_json(const std::vector<ChoiceResult>& choices) {
  Json json = Json::array();
  for (const ChoiceResult& choice : choices)
    json.push_back({{"name", choice.name},
                    {"best", choice.best ? Json(*choice.best) : Json(nullptr)},
                    {"reason", choice.reason}});
  return json;
}

Json front_json(const std::optional<ParetoFront>& front) {
  if (!front) return nullptr;
  return {{"measures", front->measures}, {"candidates", front->candidates}};
}

Json comparison_json(const std::optional<LayoutComparison>& comparison) {
  if (!comparison) return nullptr;
  Json parts = Json::array();
  for (const UncertaintyPart& part : comparison->parts)
    parts.push_back({{"family", part.family}, {"share", finite(part.share)}});
  return {{"a", comparison->a},
          {"b", comparison->b},
          {"metric", comparison->metric},
          {"probability", finite(comparison->probability)},
          {"parts", parts},
          {"settled_by", comparison->settled_by}};
}

Json changes_json(const Scenario& scenario, const Candidate& candidate) {
  Json changes = Json::array();
  for (const auto& [path, value] : candidate_changes(scenario, candidate))
    changes.push_back({{"path", path}, {"value", value}});
  return changes;
}

}  // namespace sextant::detail
