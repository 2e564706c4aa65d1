#include "sim/scenario/mix_question.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

/// Divisions are worked out for so many models at most.
constexpr std::size_t most_models = 6;
/// What a model of the mix may say for itself, in place of the page.
constexpr std::array own_keys = {"workload", "slo", "engine", "router", "search"};

/// An error of a model's own scenario, said where the page has it: "model.weights" is "models[1].weights".
std::string said_of_page(std::string message, const JsonValue& item, const std::string& file) {
  const std::string start = file + ": ";
  if (!message.starts_with(start)) return message;
  const std::string path = message.substr(start.size());
  const auto is_at = [&](const std::string& key) {
    return path.starts_with(key) && path.size() > key.size() &&
           (path[key.size()] == '.' || path[key.size()] == ':');
  };
  if (is_at("model")) return start + item.path() + path.substr(std::string("model").size());
  for (const char* key : own_keys)
    if (is_at(key) && item.object().has(key)) return start + item.path() + "." + path;
  return message;
}

/// A key that is nearly one of the model's own would be taken for a misspelt key of the model alone.
void check_keys(const JsonValue& item) {
  const std::vector<std::string> own(own_keys.begin(), own_keys.end());
  constexpr std::array of_model = {"name", "weights", "kv"};
  for (const auto& [key, value] : item.object().entries()) {
    if (std::find(own.begin(), own.end(), key) != own.end()) continue;
    if (std::find(of_model.begin(), of_model.end(), key) != of_model.end()) continue;
    if (const auto meant = nearest(key, own))
      item.fail(fmt::format("found the unknown key '{}', did you mean '{}'", key, *meant));
  }
}

/// The scenario of one model: the page with the model's own keys in place of the page's.
Json document_of(const JsonValue& page, const JsonValue& item) {
  Json document = page.json();
  document.erase("models");
  Json model = item.json();
  for (const char* key : own_keys) {
    if (!model.contains(key)) continue;
    document[key] = model[key];
    model.erase(key);
  }
  document["model"] = model;
  document["deployment"] = "search";
  document["name"] = fmt::format("{}: {}", page.object().text("name"), item.object().text("name"));
  return document;
}

/// The value at the model's own key, or at the page's.
JsonValue where(const JsonValue& page, const JsonValue& item, const char* key) {
  if (const auto own = item.object().find(key)) return *own;
  const auto of_page = page.object().find(key);
  return of_page ? *of_page : item;
}

void check_load(const JsonValue& at, const Workload& workload) {
  using Arrival = Workload::Arrival;
  const std::string expected =
      ", expected a request_rate or max_concurrency: by how much all loads can grow decides how the GPUs are "
      "divided";
  if (workload.find_highest) at.fail("found \"highest\"" + expected);
  if (workload.arrival == Arrival::trace) at.fail("found the times of a trace" + expected);
  if (!workload.rate_stages.empty() || workload.ramp_up) at.fail("found a rate that changes" + expected);
  if (workload.arrival != Arrival::concurrency && !std::isfinite(workload.request_rate))
    at.fail("found requests that arrive all at once" + expected);
}

void check_slo(const JsonValue& at, const std::string& name, const Scenario& scenario) {
  if (scenario.slo.empty())
    at.fail(
        fmt::format("found no slo for {}, expected bounds such as {{\"p99_tpot_ms\": \"<=50\"}}: how far a "
                    "load can grow within them decides how the GPUs are divided",
                    name));
  for (const ServiceLevel& level : scenario.slo) {
    const bool breaks_with_load =
        level.at_most ? level.metric.ends_with("_ms") : level.metric == "goodput_fraction";
    if (!breaks_with_load)
      at.fail(
          fmt::format("found a {} bound on {}, expected upper bounds on latencies and lower ones on "
                      "goodput_fraction alone: they are what a higher load breaks",
                      level.at_most ? "<=" : ">=", level.metric));
  }
}

void check_search(const JsonValue& at, const SearchQuestion& search) {
  if (search.objective != Objective::throughput)
    at.fail(
        fmt::format("found the objective {}, expected none in a mix: the division by which all loads can "
                    "grow most is the best",
                    to_string(search.objective)));
  if (std::any_of(search.choices.begin(), search.choices.end(),
                  [](const SearchChoice& choice) { return choice.apart; }))
    at.fail("found disaggregation, expected none in a mix: each model's prompts and tokens share its GPUs");
}

MixModel read_model_of_mix(const JsonValue& page, const JsonValue& item) {
  check_keys(item);
  MixModel model;
  model.name = item.object().text("name");
  if (!page.object().has("workload") && !item.object().has("workload"))
    item.fail("found no workload, here or for all models, expected one");
  Json document = document_of(page, item);
  model.document = document.dump();
  try {
    model.scenario = read_scenario(JsonValue::parse(model.document, page.file()));
  } catch (const InputError& error) {
    throw InputError(said_of_page(error.what(), item, page.file()));
  }
  const JsonValue workload = where(page, item, "workload");
  check_load(workload, model.scenario.workload);
  check_slo(where(page, item, "slo"), model.name, model.scenario);
  check_search(where(page, item, "search"), model.scenario.search);
  model.closed = model.scenario.workload.arrival == Workload::Arrival::concurrency;
  model.load = model.closed ? static_cast<double>(model.scenario.workload.max_concurrency)
                            : model.scenario.workload.request_rate;
  model.growing = model.scenario;
  model.growing.workload.find_highest = true;
  (model.closed ? void(model.growing.workload.max_concurrency = 1)
                : void(model.growing.workload.request_rate = 1));
  return model;
}

void check_page(const JsonObject& page) {
  if (const auto one = page.find("model")) one->fail("found 'model' beside 'models', expected one of them");
  for (const char* key : {"variants", "economics", "faults", "uplink"})
    if (const auto given = page.find(key))
      given->fail(
          fmt::format("found '{}' on a page with several models, expected none: plan one of them alone "
                      "for that",
                      key));
  if (const auto deployment = page.find("deployment");
      deployment && !(deployment->is_text() && deployment->text() == "search"))
    deployment->fail("found a fixed deployment for several models, expected \"search\"");
}

}  // namespace

bool asks_for_mix(const JsonValue& document) {
  return document.is_object() && document.object().find("models") && !asks_for_purchase(document);
}

MixQuestion read_mix_question(const JsonValue& document) {
  const JsonObject page = document.object();
  MixQuestion question;
  question.name = page.text("name");
  question.description = page.text_or("description", "");
  check_page(page);
  const JsonValue models = page.at("models");
  const std::vector<JsonValue> items = models.array();
  if (items.size() < 2)
    models.fail(fmt::format("found {}, expected at least two: one alone is the page's \"model\"",
                            items.empty() ? "no model" : "one model"));
  if (items.size() > most_models)
    models.fail(fmt::format("found {} models, expected at most {}", items.size(), most_models));
  const std::size_t gpus = read_cluster(page.at("cluster")).gpus().size();
  if (items.size() > gpus)
    models.fail(fmt::format("found {} models, expected at most {}, as many as the cluster has GPUs",
                            items.size(), gpus));
  for (const JsonValue& item : items) {
    const std::string name = item.object().text("name");
    for (const MixModel& other : question.models)
      if (other.name == name)
        item.object().at("name").fail(
            fmt::format("found \"{}\" twice, expected each model once: its load is one number", name));
    question.models.push_back(read_model_of_mix(document, item));
  }
  return question;
}

}  // namespace sextant
