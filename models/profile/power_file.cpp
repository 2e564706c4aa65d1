#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/json_text.hpp"
#include "models/profile/power.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
constexpr auto format_name = "sextant power models";
constexpr std::int64_t format_version = 1;
constexpr auto shipped_file = "calibrate/profiles/power.json";
constexpr Range watt_range{1, 1e5}, clock_range{1, 1e5}, capacitance_range{1e-6, 1e3}, slope_range{0, 10};

/// The figures of a model with their keys and ranges, once for the reader and the writer.
template <class Visit>
void visit_figures(Visit&& visit) {
  visit("static_watts", &PowerModel::static_watts, Range{0, watt_range.high});
  visit("memory_watts", &PowerModel::memory_watts, Range{0, watt_range.high});
  visit("tensor_watts_per_mhz", &PowerModel::tensor_watts_per_mhz, capacitance_range);
  visit("stream_watts_per_mhz", &PowerModel::stream_watts_per_mhz, capacitance_range);
  visit("voltage_slope_per_ghz", &PowerModel::voltage_slope_per_ghz, slope_range);
  visit("lowest_clock_mhz", &PowerModel::lowest_clock_mhz, clock_range);
  visit("highest_clock_mhz", &PowerModel::highest_clock_mhz, clock_range);
  visit("stream_saturation_mhz", &PowerModel::stream_saturation_mhz, clock_range);
  visit("lowest_watts", &PowerModel::lowest_watts, watt_range);
  visit("default_watts", &PowerModel::default_watts, watt_range);
  visit("highest_watts", &PowerModel::highest_watts, watt_range);
}

Json figure_json(const Figure& figure) {
  constexpr int digits = 4;
  Json json = {{"value", rounded(figure.value, digits)},
               {"grade", to_string(figure.grade)},
               {"source", figure.source}};
  if (!figure.note.empty()) json["note"] = figure.note;
  return json;
}

Json spread_json(const Spread& spread) {
  constexpr int digits = 4;
  return {rounded(spread.low, digits), rounded(spread.high, digits)};
}

void check_order(const JsonObject& object, const char* what, const Figure& low, const Figure& high) {
  if (low.value > high.value)
    object.fail(std::string("found the lowest ") + what + " above the highest, expected it below");
}

}  // namespace

PowerModel read_power_model(const JsonValue& value, const std::string& gpu) {
  const JsonObject object = value.object();
  PowerModel model;
  model.gpu = gpu;
  visit_figures([&](const char* key, Figure PowerModel::*figure, Range range) {
    model.*figure = read_figure(object.at(key), range);
  });
  model.reference_mhz = object.number("reference_mhz", clock_range);
  model.tensor_spread = read_spread(object.at("tensor_spread"));
  model.stream_spread = read_spread(object.at("stream_spread"));
  object.finish();
  check_order(object, "clock", model.lowest_clock_mhz, model.highest_clock_mhz);
  check_order(object, "limit", model.lowest_watts, model.default_watts);
  check_order(object, "limit", model.default_watts, model.highest_watts);
  // Only where the voltage is positive do watts grow with the clock.
  const double below = (model.reference_mhz - model.lowest_clock_mhz.value) / 1000;
  if (model.voltage_slope_per_ghz.value * below >= 1)
    object.at("voltage_slope_per_ghz")
        .fail("found no voltage left at the lowest clock, expected a flatter slope");
  return model;
}

Json power_model_json(const PowerModel& model) {
  Json json;
  visit_figures(
      [&](const char* key, Figure PowerModel::*figure, Range) { json[key] = figure_json(model.*figure); });
  json["reference_mhz"] = model.reference_mhz;
  json["tensor_spread"] = spread_json(model.tensor_spread);
  json["stream_spread"] = spread_json(model.stream_spread);
  return json;
}

std::vector<PowerModel> read_power_models(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, format_name, format_version);
  object.text("provenance");
  std::vector<PowerModel> models;
  for (const auto& [gpu, model] : object.at("models").object().entries())
    models.push_back(read_power_model(model, gpu));
  object.finish();
  return models;
}

std::string write_power_models(const std::vector<PowerModel>& models, const std::string& provenance) {
  Json json = {{"format", format_name}, {"version", format_version}, {"provenance", provenance}};
  json["models"] = Json::object();
  for (const PowerModel& model : models) json["models"][model.gpu] = power_model_json(model);
  return readable_json(json);
}

JsonValue power_models_document() {
  if (const auto folder = own_profiles_folder())
    if (const std::string own = *folder + "/power.json"; std::filesystem::exists(own))
      return JsonValue::read(own);
  const EmbeddedFile file = embedded_files(shipped_file).at(0);
  return JsonValue::parse(file.content, std::string(file.path));
}

namespace {

const std::vector<PowerModel>& shipped_power_models() {
  static const std::vector<PowerModel> models = [] {
    std::vector<PowerModel> read;
    for (const EmbeddedFile& file : embedded_files(shipped_file))
      read = read_power_models(JsonValue::parse(file.content, std::string(file.path)));
    return read;
  }();
  return models;
}

}  // namespace

std::optional<PowerModel> find_power_model(const std::string& gpu) {
  const std::vector<PowerModel> models =
      own_profiles_folder() ? read_power_models(power_models_document()) : shipped_power_models();
  for (const PowerModel& model : models)
    if (model.gpu == gpu) return model;
  return std::nullopt;
}

}  // namespace sextant
