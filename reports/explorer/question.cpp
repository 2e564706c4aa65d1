#include "reports/explorer/question.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "models/profile/power.hpp"
#include "models/profile/profile_file.hpp"
#include "reports/explorer/explorer.hpp"
#include "reports/explorer/point_cluster.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

constexpr int most_gpus = 8;

/// Why a page cannot go on asking, in words for its reader.
struct Unavailable {
  std::string reason;
};

JsonValue document(const Json& json) {
  return JsonValue::parse(json.dump(), "scenario");
}

/// The scenario of the plan's best candidate: its formats, its engine options, its load.
Json answered_document(const OrderedJson& result) {
  const OrderedJson& best = result.at("candidates").at(0);
  std::vector<std::pair<std::string, std::string>> changes;
  if (best.contains("changes"))
    for (const OrderedJson& change : best.at("changes"))
      changes.emplace_back(change.at("path").get<std::string>(), change.at("value").get<std::string>());
  return with_changes(document(Json::parse(result.at("scenario_document").dump())), changes).json();
}

/// Requests of a mean length in place of the scenario's: their means are given beside them, and files of
/// lengths or of a trace are not in the page.
Json mean_workload(const Json& given, const Json& load) {
  const auto tokens = [&](const char* key) {
    return Json{{"fixed", std::max<std::int64_t>(1, std::llround(load.at(key).get<double>()))}};
  };
  Json workload = {
      {"num_prompts", 1000}, {"prompt", tokens("prompt")}, {"output", tokens("output")}, {"seed", 0}};
  for (const char* sampling : {"temperature", "top_p", "top_k", "repetition_penalty"})
    if (given.contains(sampling)) workload[sampling] = given.at(sampling);
  if (given.contains("max_concurrency") && given.at("max_concurrency").is_number())
    workload["max_concurrency"] = given.at("max_concurrency");
  if (load.at("concurrency") == 0) workload["request_rate"] = load.at("request_rate");
  return workload;
}

/// The scenario as far as estimates use it.
Json slim_scenario(const Json& whole, const Json& load) {
  Json slim = Json::object();
  for (const char* key : {"name", "cluster", "model", "engine", "background"})
    if (whole.contains(key)) slim[key] = whole.at(key);
  slim["deployment"] = "search";
  slim["workload"] = mean_workload(whole.at("workload"), load);
  return slim;
}

void refuse_what_cannot_be(const OrderedJson& result, const Json& scenario) {
  if (result.at("candidates").at(0).contains("prefill"))
    throw Unavailable{"prefill and decode run apart here, and estimates are of one pool"};
  const Json& model = scenario.at("model");
  const std::string name = model.at("name").get<std::string>();
  if (name.find('/') != std::string::npos || name.ends_with(".json"))
    throw Unavailable{"the model is described by a file of its own, which is not in the page"};
  if (!result.contains("mean_load") || result.at("mean_load").is_null())
    throw Unavailable{"the plan does not say what its requests ask for on average"};
  int gpus = 0;
  for (const CardControl& card : card_controls(scenario.at("cluster"))) gpus += card.base;
  if (gpus > most_gpus)
    throw Unavailable{fmt::format("{} GPUs: beyond {} a search takes too long for a page", gpus, most_gpus)};
}

/// Adds a profile and those that it takes figures from.
void add_profile(const std::string& kind, const std::string& name, Json& files) {
  const std::string path = fmt::format("calibrate/profiles/{}.{}.json", kind, name);
  if (files.contains(path)) return;
  const Json profile = profile_document(kind, name).json();
  files[path] = profile.dump();
  for (const char* key : {"scaled_from", "same_as", "rest_from"})
    if (profile.contains(key) && profile.at(key).is_string())
      add_profile(kind, profile.at(key).get<std::string>(), files);
}

void add_embedded(const std::string& prefix, Json& files) {
  for (const EmbeddedFile& file : embedded_files(prefix)) {
    const std::string path(file.path);
    files[path] = JsonValue::parse(file.content, path).json().dump();  // without comments
  }
}

/// Every link profile: another rate of the network asks for another one.
void add_links(Json& files) {
  constexpr std::string_view prefix = "calibrate/profiles/link.", suffix = ".json", tables = "-tables";
  for (const EmbeddedFile& file : embedded_files(prefix)) {
    std::string name(file.path.substr(prefix.size(), file.path.size() - prefix.size() - suffix.size()));
    if (!name.ends_with(tables)) add_profile("link", name, files);
  }
}

Json files_of(const Scenario& scenario) {
  Json files = Json::object();
  add_embedded("models/hardware/catalogue/", files);
  add_embedded("models/llm/catalogue/weight-formats.json", files);
  // A drafter may be another model.
  const bool drafts = scenario.engine.speculation.has_value();
  add_embedded(drafts ? "models/llm/catalogue/"
                      : fmt::format("models/llm/catalogue/{}.", scenario.model.architecture.name),
               files);
  for (const char* rules : {"assumptions", "nccl-tuning", "operator-rules", "scaling-rules"})
    add_embedded(fmt::format("calibrate/profiles/{}.json", rules), files);
  add_profile("engine", scenario.engine.profile, files);
  add_links(files);
  files["calibrate/profiles/power.json"] = power_models_document().dump();
  for (const int gpu : scenario.cluster.gpus()) {
    const std::string& name = scenario.cluster.devices[static_cast<std::size_t>(gpu)].model;
    add_profile("gpu", name, files);
  }
  return files;
}

/// Stops of the network's rate: the rates that profiles are known of.
Json network_stops(double base, const std::string& transport) {
  std::vector<double> stops = {base};
  for (const Nic& nic : hardware_catalogue().nics) {
    const double gbits = nic.rate_gbits.value;
    const bool known =
        !embedded_files(fmt::format("calibrate/profiles/link.{}-{:.0f}.json", transport, gbits)).empty();
    if (known && std::find(stops.begin(), stops.end(), gbits) == stops.end()) stops.push_back(gbits);
  }
  std::sort(stops.begin(), stops.end());
  return stops;
}

Json controls_of(const Scenario& scenario, const Json& slim, const Json& load) {
  Json controls = Json::object();
  const bool closed = load.at("concurrency") > 0;
  controls["load"] = {{"kind", closed ? "max_concurrency" : "request_rate"},
                      {"base", closed ? load.at("concurrency") : load.at("request_rate")}};
  controls["cards"] = Json::array();
  const auto cards = card_controls(slim.at("cluster"));
  for (const CardControl& card : cards) {
    const Gpu& gpu = find_gpu(card.gpu);
    Json control = {{"gpu", card.gpu},
                    {"name", gpu.full_name},
                    {"base", card.base},
                    {"least", card.least},
                    {"most", card.most}};
    const bool power = card.watts > 0 && find_power_model(card.gpu);
    if (power)
      control["watts"] = {{"base", card.watts},
                          {"least", gpu.lowest_power_watts->value},
                          {"most", gpu.highest_power_watts->value}};
    else if (card.clock > 0)
      control["clock"] = {{"base", card.clock}, {"least", 0.4}, {"most", 1}};
    controls["cards"].push_back(control);
  }
  const double gbits = network_gbits(slim.at("cluster"));
  const bool one_card = cards.size() == 1 && cards.front().most == 1;
  if (gbits > 0 && !one_card)
    controls["network_gbits"] = {{"base", gbits},
                                 {"stops", network_stops(gbits, scenario.cluster.network.transport)}};
  return controls;
}

Json notes_of(const OrderedJson& result, const Json& whole) {
  Json notes = Json::array();
  if (const auto choice = result.at("candidates").at(0).value("choice", ""); !choice.empty())
    notes.push_back(fmt::format("formats and engine options stay as the plan chose them: {}", choice));
  if (whole.contains("faults")) notes.push_back("nothing fails: the scenario's faults are left out");
  return notes;
}

OrderedJson made(const OrderedJson& result) {
  const Json whole = answered_document(result);
  refuse_what_cannot_be(result, whole);
  const Json load = Json::parse(result.at("mean_load").dump());
  const Json slim = slim_scenario(whole, load);
  const Scenario scenario = read_scenario(document(slim));
  const Json question = {{"scenario", slim},
                         {"load", load},
                         {"layout", Json::parse(result.at("candidates").at(0).at("layout").dump())}};
  Explorer explorer(question.dump());
  OrderedJson made;
  made["open"] = {{"question", question}, {"files", files_of(scenario)}};
  made["controls"] = controls_of(scenario, slim, load);
  made["base"] = OrderedJson::parse(explorer.answer("{}"));
  made["notes"] = notes_of(result, whole);
  return made;
}

}  // namespace

OrderedJson explorer_question(const OrderedJson& result) {
  const std::string format = result.value("format", "");
  if (format == "sextant purchase")
    return {{"unavailable", "the hardware itself was chosen, by simulating what could be bought"}};
  if (format != "sextant plan" || !result.contains("candidates") || result.at("candidates").empty())
    return nullptr;
  if (!result.contains("scenario_document"))
    return {{"unavailable", "the plan was saved without its scenario"}};
  try {
    return made(result);
  } catch (const Unavailable& no) {
    return {{"unavailable", no.reason}};
  } catch (const InputError& error) {
    return {{"unavailable", error.what()}};
  } catch (const Json::exception&) {  // a saved plan that was changed by hand
    return {{"unavailable", "the plan's scenario cannot be read"}};
  }
}

}  // namespace sextant
