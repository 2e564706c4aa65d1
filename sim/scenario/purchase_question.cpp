#include "sim/scenario/purchase_question.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

CountRange read_range(const JsonValue& value, CountRange range) {
  const JsonObject object = value.object();
  range.least = static_cast<int>(object.integer_or("at_least", range.least, {1, 1e5}));
  range.most = static_cast<int>(object.integer_or("at_most", std::max(range.least, range.most), {1, 1e5}));
  if (range.least > range.most)
    value.fail(fmt::format("found at_least {} and at_most {}, expected a range that holds something",
                           range.least, range.most));
  object.finish();
  return range;
}

PurchaseBounds read_bounds(const JsonValue& value) {
  const JsonObject object = value.object();
  PurchaseBounds bounds;
  bounds.usd = object.number("usd", {0, 1e12});
  if (const auto watts = object.find("watts")) bounds.watts = watts->number({0, 1e9});
  if (const auto units = object.find("rack_units")) bounds.rack_units = units->number({0, 1e6});
  if (const auto nodes = object.find("nodes")) bounds.nodes = read_range(*nodes, bounds.nodes);
  if (const auto gpus = object.find("gpus")) bounds.gpus = read_range(*gpus, bounds.gpus);
  bounds.kv_tokens = object.number_or("kv_tokens", 0, {0, 1e12});
  if (bounds.gpus.most < bounds.nodes.least)
    value.fail(fmt::format("found at most {} gpus and at least {} nodes, expected a gpu for each node",
                           bounds.gpus.most, bounds.nodes.least));
  object.finish();
  return bounds;
}

PurchaseEconomics read_purchase_economics(const JsonValue& value) {
  const JsonObject object = value.object();
  for (const char* key : {"capital_usd", "power_watts"})
    if (object.has(key))
      object.at(key).fail("found a figure that follows from what is bought, expected none");
  PurchaseEconomics economics;
  economics.years = object.number_or("years", economics.years, {0.01, 100});
  economics.electricity_usd_per_kwh = object.number("electricity_usd_per_kwh", {0, 1000});
  economics.utilisation = object.number_or("utilisation", 1, {0.001, 1});
  object.finish();
  return economics;
}

/// Each model's own scenario: the document without what only the whole question has.
std::vector<PurchaseModel> read_models(const JsonValue& document) {
  const JsonObject object = document.object();
  Json rest = document.json();
  for (const char* key : {"cluster", "economics", "models"}) rest.erase(key);
  rest["deployment"] = "search";
  const auto several = object.find("models");
  if (several && object.has("model")) several->fail("found 'model' beside it, expected one of them");
  if (!several) return {{object.at("model").object().text("name"), 1, rest.dump()}};
  std::vector<PurchaseModel> models;
  double shares = 0;
  for (const JsonValue& item : several->array()) {
    Json model = item.json();
    const JsonObject fields = item.object();
    PurchaseModel served;
    served.name = fields.text("name");
    served.share = fields.number_or("share", 1, {1e-6, 1e6});
    if (model.is_object()) model.erase("share");
    rest["model"] = model;
    served.document = rest.dump();
    shares += served.share;
    models.push_back(std::move(served));
  }
  if (models.empty()) several->fail("found no model, expected at least one");
  for (PurchaseModel& model : models) model.share /= shares;
  return models;
}

/// One node of the first chassis with the first card that fits it, so that the rest of the scenario can be
/// read and checked before any purchase is made up.
std::string smallest_cluster(const PurchaseQuestion& question) {
  for (const ChassisOffer& chassis : question.chassis) {
    Json node = {{"node", chassis.type->name}};
    if (!chassis.included_gpus.empty()) {
      node["gpus"] = chassis.included_gpus;
      return Json{{"nodes", Json::array({node})}}.dump();
    }
    for (const GpuOffer& card : question.gpus) {
      for (const std::string& factor : chassis.type->form_factors) {
        if (factor != card.gpu->form_factor) continue;
        node["gpus"] = {{card.gpu->name, 1}};
        if (card.power_limit_watts)
          node["gpus"] = {{card.gpu->name, {{"count", 1}, {"power_limit_watts", *card.power_limit_watts}}}};
        return Json{{"nodes", Json::array({node})}}.dump();
      }
    }
  }
  return {};
}

}  // namespace

std::string to_string(PurchasePreference preference) {
  switch (preference) {
    case PurchasePreference::throughput:
      return "throughput";
    case PurchasePreference::cost:
      return "cost";
    case PurchasePreference::price:
      return "price";
  }
  return {};
}

bool asks_for_purchase(const JsonValue& document) {
  if (!document.is_object()) return false;
  const auto cluster = document.object().find("cluster");
  return cluster && cluster->is_object() && cluster->object().has("choose-from");
}

Scenario purchase_scenario(const PurchaseQuestion& question, const PurchaseModel& model,
                           const std::string& cluster) {
  Json document = Json::parse(model.document);
  document["cluster"] = Json::parse(cluster);
  return read_scenario(JsonValue::parse(document.dump(), question.file));
}

PurchaseQuestion read_purchase_question(const JsonValue& document) {
  const JsonObject object = document.object();
  PurchaseQuestion question;
  question.name = object.text("name");
  question.description = object.text_or("description", "");
  question.file = document.file();
  const JsonObject cluster = object.at("cluster").object();
  const JsonValue choose_from = cluster.at("choose-from");
  read_offers(choose_from, question);
  question.bounds = read_bounds(cluster.at("budget"));
  question.prefer = static_cast<PurchasePreference>(
      cluster.has("prefer") ? cluster.choice("prefer", {"throughput", "cost", "price"}) : 0);
  if (const auto network = cluster.find("network")) {
    if (network->object().has("switch"))
      network->object().at("switch").fail("found a switch, expected it among choose-from");
    question.network = network->dump();
  }
  cluster.finish();
  if (const auto economics = object.find("economics"))
    question.economics = read_purchase_economics(*economics);
  if (question.prefer == PurchasePreference::cost && !question.economics)
    cluster.at("prefer").fail(
        "found \"cost\" without 'economics', expected years and the price of electricity");
  if (const auto deployment = object.find("deployment"); deployment && !deployment->is_text())
    deployment->fail("found a fixed deployment, expected \"search\" where the cluster is to be bought");
  if (const auto variants = object.find("variants"))
    variants->fail("found variants, expected none beside choose-from: change the page with --set");
  question.models = read_models(document);
  for (const PurchaseModel& model : question.models)
    purchase_scenario(question, model, smallest_cluster(question));
  return question;
}

}  // namespace sextant
