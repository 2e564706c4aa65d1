#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "reports/context_json.hpp"
#include "reports/csv_text.hpp"
#include "reports/json_parts.hpp"
#include "reports/names.hpp"
#include "reports/whatif_text.hpp"

namespace sextant {
namespace {

using detail::finite;
using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

Json candidate_json(const Cluster& cluster, const Candidate& c) {
  Json metrics = Json::object();
  for (const auto& [name, value] : named_metrics(c.metrics)) metrics[name] = finite(value);
  Json intervals = Json::object();
  for (const auto& [name, interval] : c.intervals)
    intervals[name] = {{"low", finite(interval.low)}, {"high", finite(interval.high)}};
  Json stages = Json::array();
  for (const StageReport& stage : c.stages)
    stages.push_back({{"gpus", stage.gpus},
                      {"gpu", stage.gpu},
                      {"layers", {{"begin", stage.layers.begin}, {"end", stage.layers.end}}},
                      {"decode_pass_ms", finite(stage.decode_pass_ms)},
                      {"chunk_pass_ms", finite(stage.chunk_pass_ms)},
                      {"hop", stage.hop},
                      {"decode_hop_ms", finite(stage.decode_hop_ms)},
                      {"chunk_hop_ms", finite(stage.chunk_hop_ms)},
                      {"busy", finite(1 - stage.shares.bubble)}});
  return {{"layout", c.layout.describe()},
          {"gpus", layout_gpus(cluster, c.layout)},
          {"placement", layout_json(&cluster, c)},
          {"metrics", metrics},
          {"intervals", intervals},
          {"meets_slo", c.meets_slo},
          {"missed", c.missed},
          {"kv_tokens", c.kv_tokens},
          {"usd_per_million_output_tokens",
           c.usd_per_million_output_tokens ? finite(*c.usd_per_million_output_tokens) : Json(nullptr)},
          {"joules_per_output_token", c.energy ? finite(c.energy->joules_per_output_token) : Json(nullptr)},
          {"stages", stages},
          {"grade", to_string(c.grade)},
          {"extrapolated", c.extrapolated},
          {"fingerprint", c.metrics.fingerprint}};
}

Json optional_candidate(const Cluster& cluster, const std::optional<Candidate>& candidate) {
  return candidate ? candidate_json(cluster, *candidate) : Json(nullptr);
}

Json row_json(const WhatIfRow& row) {
  Json movements = Json::object();
  for (const auto& [metric, m] : row.movements) {
    movements[metric] = {{"base", finite(m.base)}, {"variant", finite(m.variant)}, {"ratio", nullptr}};
    if (m.ratio)
      movements[metric]["ratio"] = {{"low", finite(m.ratio->low)},
                                    {"nominal", finite(m.ratio->nominal)},
                                    {"high", finite(m.ratio->high)},
                                    {"beyond_error", m.beyond_error()}};
  }
  return {{"name", row.name},
          {"changes", row.changes},
          {"infeasible", row.infeasible},
          {"kept", optional_candidate(row.scenario.cluster, row.kept)},
          {"not_kept", row.not_kept},
          {"best", optional_candidate(row.scenario.cluster, row.best)},
          {"worth", whatif_worth(row)},
          {"movements", movements},
          {"why", row.why}};
}

std::string csv_row(const std::string& name, const std::string& changes, const Cluster& cluster,
                    const Candidate& c, const std::string& reason) {
  std::string text =
      fmt::format("{},{},{},{},{},{}", csv_field(name), csv_field(changes), csv_field(c.layout.describe()),
                  csv_field(layout_gpus(cluster, c.layout)), csv_field(reason), c.kv_tokens);
  for (const auto& [unused, value] : named_metrics(c.metrics)) text.append(",").append(csv_number(value));
  return text +
         fmt::format(",{},{}\n",
                     c.usd_per_million_output_tokens ? csv_number(*c.usd_per_million_output_tokens) : "",
                     c.energy ? csv_number(c.energy->joules_per_output_token) : "");
}

/// Of the base and of every variant.
Json all_provenance(const WhatIf& result) {
  std::vector<Json> lists = {provenance_json(result.scenario, result.base)};
  for (const WhatIfRow& row : result.rows)
    if (row.shown() != nullptr) lists.push_back(provenance_json(row.scenario, *row.shown()));
  return detail::each_once(lists);
}

}  // namespace

std::string whatif_json(const WhatIf& result, const JsonValue& document, const std::string& command) {
  Json json = {{"format", "sextant whatif"},
               {"version", schema_version},
               {"scenario", result.scenario.name},
               {"seed", result.scenario.workload.seed},
               {"command", command}};
  json.update(question_json(result.scenario));
  json["answer"] = whatif_answer(result);
  json.update({{"base", candidate_json(result.scenario.cluster, result.base)},
               {"variants", Json::array()},
               {"cluster", cluster_json(result.scenario.cluster, result.base)},
               {"provenance", all_provenance(result)},
               {"scenario_document", document.json()}});
  for (const WhatIfRow& row : result.rows) json["variants"].push_back(row_json(row));
  constexpr int indent = 1;
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string whatif_csv(const WhatIf& result) {
  std::string text = "variant,changes,layout,gpus,reason,kv_tokens";
  const auto metrics = named_metrics(ServingMetrics{});
  for (const auto& [name, unused] : metrics) text.append(",").append(name);
  text += ",usd_per_million_output_tokens,joules_per_output_token\n";
  text += csv_row("(base)", "", result.scenario.cluster, result.base, "");
  for (const WhatIfRow& row : result.rows) {
    std::string changes;
    for (const std::string& change : row.changes) changes += (changes.empty() ? "" : "; ") + change;
    const Cluster& cluster = row.scenario.cluster;
    if (row.shown() == nullptr)
      text += fmt::format("{},{},,,{},{}\n", csv_field(row.name), csv_field(changes),
                          csv_field(row.infeasible), std::string(metrics.size() + 2, ','));
    else
      text += csv_row(row.name, changes, cluster, *row.shown(), row.not_kept);
    if (row.kept && row.best)
      text += csv_row(row.name + ", its best layout", changes, cluster, *row.best, "");
  }
  return text;
}

}  // namespace sextant
