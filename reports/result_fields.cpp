#include "reports/result_fields.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

namespace sextant::detail {

using Json = nlohmann::ordered_json;

const Json& member(const Json& json, std::string_view key) {
  static const Json null;
  if (!json.is_object()) return null;
  const auto found = json.find(std::string(key));
  return found == json.end() ? null : *found;
}

double number_member(const Json& json, std::string_view key) {
  const Json& value = member(json, key);
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

std::string text_member(const Json& json, std::string_view key) {
  const Json& value = member(json, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

bool true_member(const Json& json, std::string_view key) {
  const Json& value = member(json, key);
  return value.is_boolean() && value.get<bool>();
}

std::vector<std::string> texts_member(const Json& json, std::string_view key) {
  std::vector<std::string> texts;
  const Json& list = member(json, key);
  if (!list.is_array()) return texts;
  for (const Json& entry : list)
    if (entry.is_string()) texts.push_back(entry.get<std::string>());
  return texts;
}

const Json& headline_run(const Json& result) {
  const Json& candidates = member(result, "candidates");
  const Json& runs = candidates.is_array() ? candidates : member(result, "replications");
  return runs.is_array() && !runs.empty() ? runs.front() : member(Json(), "");
}

const Json& headline_layout(const Json& result) {
  const Json& own = member(result, "layout");
  return own.is_object() ? own : member(headline_run(result), "layout");
}

std::string layout_text(const Json& layout) {
  std::string text = fmt::format("tp {:g} x pp {:g} x dp {:g}", number_member(layout, "tp"),
                                 number_member(layout, "pp"), number_member(layout, "dp"));
  const std::string split = text_member(layout, "split");
  return number_member(layout, "pp") > 1 && !split.empty() ? text + ", layers " + split : text;
}

std::vector<std::string> headline_metric_names(const Json& result) {
  std::vector<std::string> names = {"output_throughput", "request_throughput", "mean_ttft_ms", "p99_ttft_ms",
                                    "mean_tpot_ms",      "p99_tpot_ms",        "mean_itl_ms",  "p99_itl_ms",
                                    "mean_e2el_ms",      "p99_e2el_ms"};
  const Json& slo = member(result, "slo");
  if (!slo.is_array()) return names;
  for (const Json& level : slo) {
    const std::string name = text_member(level, "metric");
    if (!name.empty() && std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

}  // namespace sextant::detail
