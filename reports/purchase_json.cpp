#include <fmt/core.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "reports/context_json.hpp"
#include "reports/csv_text.hpp"
#include "reports/json_parts.hpp"
#include "reports/objective_json.hpp"
#include "reports/purchase_text.hpp"

namespace sextant {
namespace {

using detail::finite;
using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

Json optional(const std::optional<double>& value) {
  return value ? finite(*value) : Json(nullptr);
}

Json model_json(const ModelAnswer& answer, double share) {
  const Candidate& best = answer.best();
  Json metrics = Json::object(), intervals = Json::object();
  for (const auto& [name, interval] : best.intervals)
    intervals[name] = {{"low", finite(interval.low)}, {"high", finite(interval.high)}};
  for (const auto& [name, value] : named_metrics(best.metrics)) metrics[name] = finite(value);
  return {{"name", answer.model},
          {"share", share},
          {"layout",
           {{"tp", best.layout.tp},
            {"pp", best.layout.pp},
            {"dp", best.layout.dp},
            {"split", best.layout.split()}}},
          {"kv_tokens", best.kv_tokens * best.layout.dp},
          {"meets_slo", best.meets_slo},
          {"startable", best.startable},
          {"rejected", best.metrics.rejected},
          {"missed", best.missed},
          {"metrics", metrics},
          {"intervals", intervals},
          {"gpu_watts", finite(answer.gpu_watts)},
          {"usd_per_million_output_tokens", optional(answer.usd_per_million_output_tokens)},
          {"grade", to_string(best.grade)},
          {"extrapolated", best.extrapolated},
          {"fingerprint", best.metrics.fingerprint}};
}

Json purchase_object(const PurchaseQuestion& question, const PlannedPurchase& planned) {
  Json bill = Json::array();
  for (const BillLine& line : bill_of(question, planned.purchase))
    bill.push_back({{"part", line.part},
                    {"count", line.count},
                    {"usd_each", finite(line.usd_each)},
                    {"price_source", line.price_source}});
  Json models = Json::array();
  for (std::size_t i = 0; i < planned.models.size(); ++i)
    models.push_back(model_json(planned.models[i], question.models[i].share));
  Json cost = nullptr;
  if (planned.cost)
    cost = {{"mean_watts", finite(planned.cost->mean_watts)},
            {"serving_watts", finite(planned.cost->serving_watts)},
            {"electricity_usd", finite(planned.cost->electricity_usd)},
            {"tco_usd", finite(planned.cost->tco_usd)},
            {"usd_per_million_output_tokens", finite(planned.cost->usd_per_million_output_tokens)}};
  return {
      {"description", describe(question, planned.purchase)},
      {"bill", bill},
      {"usd", finite(planned.totals.usd)},
      {"peak_watts", finite(planned.totals.peak_watts)},
      {"rack_units", finite(planned.totals.rack_units)},
      {"gpus", planned.totals.gpus},
      {"kind", {{"cards", planned.kind.cards}, {"nodes", planned.kind.nodes}, {"gbits", planned.kind.gbits}}},
      {"meets_slo", planned.meets_slo},
      {"output_throughput", finite(planned.output_throughput)},
      {"cost", cost},
      {"models", models},
      {"cluster", Json::parse(cluster_of(question, planned.purchase))}};
}

Json flip_json(const Flip& flip) {
  return {{"input", flip.input},           {"base", finite(flip.base)},       {"at", optional(flip.at)},
          {"lowest", finite(flip.lowest)}, {"highest", finite(flip.highest)}, {"simulated", flip.simulated}};
}

/// Every part on offer with its price and who says so.
Json offers_json(const PurchaseQuestion& question) {
  Json offers = Json::array();
  const auto add = [&](const char* kind, const std::string& part, const PartPrice& price) {
    offers.push_back(
        {{"kind", kind}, {"part", part}, {"usd", finite(price.usd)}, {"price_source", price.source}});
  };
  for (const ChassisOffer& offer : question.chassis) add("chassis", offer.name, offer.price);
  for (const GpuOffer& offer : question.gpus) add("gpu", offer.gpu->name, offer.price);
  for (const NicOffer& offer : question.nics) add("nic", offer.nic->name, offer.price);
  for (const SwitchOffer& offer : question.switches) add("switch", offer.type->name, offer.price);
  return offers;
}

Json budget_json(const PurchaseBounds& bounds) {
  return {{"usd", finite(bounds.usd)},
          {"watts", optional(bounds.watts)},
          {"rack_units", optional(bounds.rack_units)},
          {"kv_tokens", bounds.kv_tokens}};
}

Json economics_json(const std::optional<PurchaseEconomics>& economics) {
  if (!economics) return nullptr;
  return {{"years", economics->years},
          {"electricity_usd_per_kwh", economics->electricity_usd_per_kwh},
          {"utilisation", economics->utilisation}};
}

/// What the best purchase's models rest on.
Json all_provenance(const PlannedPurchase& best) {
  std::vector<Json> lists;
  for (const ModelAnswer& answer : best.models)
    lists.push_back(provenance_json(answer.scenario, answer.best()));
  return detail::each_once(lists);
}

}  // namespace

std::string purchase_json(const PurchaseQuestion& question, const PurchasePlan& plan,
                          const std::string& command) {
  Json alternatives = Json::array(), planned = Json::array(), left_out = Json::array();
  for (const PurchaseAlternative& alternative : plan.alternatives) {
    Json flips = Json::array();
    for (const Flip& flip : alternative.flips) flips.push_back(flip_json(flip));
    Json comparisons = Json::array();
    for (const LayoutComparison& comparison : alternative.comparisons)
      comparisons.push_back(detail::comparison_json(comparison));
    alternatives.push_back({{"differs", alternative.differs},
                            {"flips", flips},
                            {"comparisons", comparisons},
                            {"purchase", purchase_object(question, alternative.planned)}});
  }
  for (const PlannedPurchase& purchase : plan.planned) planned.push_back(purchase_object(question, purchase));
  for (const auto& [reason, count] : plan.left_out)
    left_out.push_back({{"reason", reason}, {"count", count}});
  const ModelAnswer& first = plan.best.models.front();
  Json json = {{"format", "sextant purchase"}, {"version", schema_version}, {"scenario", question.name}};
  json["seed"] = first.scenario.workload.seed;
  json["command"] = command;
  json["description"] = question.description;
  json["question"] = purchase_question_lines(question, plan);
  json["slo"] = question_json(first.scenario)["slo"];
  json["budget"] = budget_json(question.bounds);
  json["economics"] = economics_json(question.economics);
  json["prefer"] = to_string(question.prefer);
  json["best"] = purchase_object(question, plan.best);
  json["alternatives"] = alternatives;
  json["simulated"] = planned;
  json["interrupted"] = plan.interrupted;
  json["possible"] = plan.possible;
  json["estimated"] = plan.estimated;
  json["left_out"] = left_out;
  json["offers"] = offers_json(question);
  json["layout"] = layout_json(&first.scenario.cluster, first.best());
  json["cluster"] = cluster_json(first.scenario.cluster, first.best());
  json["provenance"] = all_provenance(plan.best);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string purchase_csv(const PurchaseQuestion& question, const PurchasePlan& plan) {
  std::string text =
      "rank,purchase,usd,peak_watts,rack_units,gpus,tco_usd,purchase_output_throughput,purchase_meets_slo,"
      "model,share,"
      "tp,pp,dp,split,meets_slo,kv_tokens,gpu_watts,usd_per_million_output_tokens";
  for (const auto& [name, unused] : named_metrics(ServingMetrics{})) text.append(",").append(name);
  text += "\n";
  for (std::size_t rank = 0; rank < plan.planned.size(); ++rank) {
    const PlannedPurchase& planned = plan.planned[rank];
    for (std::size_t m = 0; m < planned.models.size(); ++m) {
      const ModelAnswer& answer = planned.models[m];
      const Candidate& best = answer.best();
      text += fmt::format(
          "{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{}", rank + 1,
          csv_field(describe(question, planned.purchase)), csv_number(planned.totals.usd),
          csv_number(planned.totals.peak_watts), csv_number(planned.totals.rack_units), planned.totals.gpus,
          planned.cost ? csv_number(planned.cost->tco_usd) : "", csv_number(planned.output_throughput),
          planned.meets_slo, csv_field(answer.model), csv_number(question.models[m].share), best.layout.tp,
          best.layout.pp, best.layout.dp, best.layout.split(), best.meets_slo,
          best.kv_tokens * best.layout.dp, csv_number(answer.gpu_watts),
          answer.usd_per_million_output_tokens ? csv_number(*answer.usd_per_million_output_tokens) : "");
      for (const auto& [unused, value] : named_metrics(best.metrics))
        text.append(",").append(csv_number(value));
      text += "\n";
    }
  }
  return text;
}

}  // namespace sextant
