#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "reports/context_json.hpp"
#include "reports/csv_text.hpp"
#include "reports/json_parts.hpp"
#include "reports/mix_text.hpp"
#include "reports/objective_json.hpp"
#include "reports/plan_json.hpp"

namespace sextant {
namespace {

using detail::finite;
using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

Json answer_json(const MixModel& asked, const MixAnswer& answer) {
  Json json = {{"name", answer.model},
               {"gpus", answer.gpus},
               {"kinds", answer.kinds},
               {"load", finite(asked.load)},
               {"unit", asked.closed ? "requests at once" : "requests/s"},
               {"factor", finite(answer.factor)},
               {"estimated_factor", finite(answer.estimate)},
               {"meets_slo", answer.meets_slo},
               {"held_back_by", answer.held_back_by},
               {"failure", answer.failure},
               {"layout", nullptr},
               {"metrics", Json::object()},
               {"intervals", Json::object()},
               {"missed", Json::array()},
               {"grade", nullptr},
               {"extrapolated", false},
               {"fingerprint", nullptr},
               {"load_search", detail::load_json(answer.load)}};
  if (answer.plan.candidates.empty()) return json;
  const Candidate& best = answer.plan.candidates.front();
  json["layout"] = layout_json(&answer.scenario.cluster, best);
  for (const auto& [name, value] : named_metrics(best.metrics)) json["metrics"][name] = finite(value);
  for (const auto& [name, interval] : best.intervals)
    json["intervals"][name] = {{"low", finite(interval.low)}, {"high", finite(interval.high)}};
  json["missed"] = best.missed;
  json["grade"] = to_string(best.grade);
  json["extrapolated"] = best.extrapolated;
  json["fingerprint"] = best.metrics.fingerprint;
  return json;
}

Json division_json(const MixQuestion& question, const MixDivision& division) {
  Json models = Json::array();
  for (std::size_t m = 0; m < division.models.size(); ++m)
    models.push_back(answer_json(question.models[m], division.models[m]));
  return {{"factor", finite(division.factor)},
          {"meets_slo", division.meets_slo},
          {"tightest", division.models[division.tightest].model},
          {"models", models}};
}

Json proof_json(const MixProof& proof) {
  return {{"divisions", proof.divisions},        {"every_division", proof.every_division},
          {"estimated", proof.estimated},        {"pruned", proof.pruned},
          {"simulated", proof.simulated},        {"complete", proof.complete},
          {"bound_factor", finite(proof.bound)}, {"best_estimated_factor", finite(proof.best_estimate)}};
}

/// What the models rest on.
Json all_provenance(const MixDivision& best) {
  std::vector<Json> lists;
  for (const MixAnswer& answer : best.models)
    if (!answer.plan.candidates.empty())
      lists.push_back(provenance_json(answer.scenario, answer.plan.candidates.front()));
  return detail::each_once(lists);
}

}  // namespace

std::string mix_json(const MixQuestion& question, const MixPlan& plan, const std::string& command) {
  Json json = {{"format", "sextant mix"}, {"version", schema_version}, {"scenario", question.name}};
  json["seed"] = question.models.front().scenario.workload.seed;
  json["command"] = command;
  json["description"] = question.description;
  json["question"] = mix_question_lines(question, plan);
  json["best"] = division_json(question, plan.best);
  json["others"] = Json::array();
  for (const MixDivision& other : plan.others) json["others"].push_back(division_json(question, other));
  json["reasons"] = plan.reasons;
  json["shared_links"] = Json::array();
  for (const SharedLink& link : plan.shared)
    json["shared_links"].push_back(
        {{"link", link.link}, {"busy", link.busy}, {"slower_at_most", link.slower}});
  json["search"] = proof_json(plan.proof);
  json["interrupted"] = plan.interrupted;
  json["plans"] = Json::array();
  for (std::size_t m = 0; m < plan.best.models.size(); ++m) {
    const MixAnswer& answer = plan.best.models[m];
    if (answer.plan.candidates.empty()) continue;
    const JsonValue document = JsonValue::parse(question.models[m].document, question.name);
    json["plans"].push_back(Json::parse(plan_json(answer.scenario, answer.plan, {}, &document, command)));
  }
  json["provenance"] = all_provenance(plan.best);
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string mix_csv(const MixQuestion& question, const MixPlan& plan) {
  std::string text =
      "rank,division_factor,division_meets_slo,model,kinds,gpus,load,factor,estimated_factor,meets_slo,tp,pp,"
      "dp,ep,"
      "split,kv_tokens,failure";
  for (const auto& [name, unused] : named_metrics(ServingMetrics{})) text.append(",").append(name);
  text += "\n";
  for (std::size_t rank = 0; rank <= plan.others.size(); ++rank) {
    const MixDivision& division = rank == 0 ? plan.best : plan.others[rank - 1];
    for (std::size_t m = 0; m < division.models.size(); ++m) {
      const MixAnswer& answer = division.models[m];
      std::string gpus;
      for (const std::string& gpu : answer.gpus) gpus += (gpus.empty() ? "" : " ") + gpu;
      text += fmt::format("{},{},{},{},{},{},{},{},{},{}", rank + 1, csv_number(division.factor),
                          division.meets_slo, csv_field(answer.model), csv_field(answer.kinds),
                          csv_field(gpus), csv_number(question.models[m].load), csv_number(answer.factor),
                          csv_number(answer.estimate), answer.meets_slo);
      if (answer.plan.candidates.empty()) {
        text += fmt::format(",,,,,,,{}", csv_field(answer.failure));
        for (std::size_t i = 0; i < named_metrics(ServingMetrics{}).size(); ++i) text += ",";
        text += "\n";
        continue;
      }
      const Candidate& best = answer.plan.candidates.front();
      text += fmt::format(",{},{},{},{},{},{},", best.layout.tp, best.layout.pp, best.layout.dp,
                          best.layout.ep, best.layout.split(), best.kv_tokens * best.layout.dp);
      for (const auto& [unused, value] : named_metrics(best.metrics))
        text.append(",").append(csv_number(value));
      text += "\n";
    }
  }
  return text;
}

}  // namespace sextant
