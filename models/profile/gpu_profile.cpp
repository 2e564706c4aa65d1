#include "models/profile/gpu_profile.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "models/profile/json_text.hpp"
#include "models/profile/operator_rules.hpp"
#include "models/profile/power.hpp"
#include "models/profile/profile_file.hpp"
#include "models/profile/scaled_profile.hpp"

namespace sextant {
namespace {

constexpr auto format_name = "sextant gpu profile";
constexpr std::int64_t format_version = 1;
constexpr std::size_t gemm_axes = 3, prefill_axes = 4, decode_axes = 4, elementwise_axes = 1, moe_axes = 4,
                      latent_axes = 3;

using Models = std::map<std::string, OperatorModel>;

Models read_models(const JsonValue& value, std::size_t dimensions, bool weights) {
  Models models;
  for (const auto& [key, item] : value.object().entries())
    models.emplace(key, read_operator_model(item, dimensions, weights, models));
  return models;
}

/// The first model before this one with the same, larger than trivial, grid.
std::string twin_before(const Models& models, const std::string& key) {
  const Grid& grid = models.at(key).efficiency;
  for (const auto& [other, model] : models) {
    if (other == key) break;
    if (model.by_rule) continue;
    if (grid.values().size() > 1 && model.efficiency.axes() == grid.axes() &&
        model.efficiency.values() == grid.values())
      return other;
  }
  return {};
}

nlohmann::ordered_json models_json(const Models& models) {
  auto json = nlohmann::ordered_json::object();
  for (const auto& [key, model] : models)
    if (!model.by_rule) json[key] = operator_model_json(model, twin_before(models, key));
  return json;
}

/// Another profile under this GPU's name.
GpuProfile read_alias(const JsonObject& object, const GpuProfileFinder& base) {
  const std::string gpu = object.text("gpu"), provenance = object.text("provenance");
  const JsonValue other = object.at("same_as");
  if (other.text() == gpu)
    other.fail(fmt::format("found \"{}\", expected another profile than its own", gpu));
  object.finish();
  GpuProfile profile = base(other.text());
  profile.gpu = gpu;
  profile.provenance = fmt::format("{}; {}", provenance, profile.provenance);
  return profile;
}

}  // namespace

GpuProfile read_gpu_profile(const JsonValue& value, const GpuProfileFinder& base) {
  const JsonObject object = value.object();
  expect_format(object, format_name, format_version);
  if (object.has("scaled_from")) return read_scaled_profile(object, base);
  if (object.has("same_as")) return read_alias(object, base);
  GpuProfile profile;
  profile.gpu = object.text("gpu");
  profile.provenance = object.text("provenance");
  profile.gemm = read_models(object.at("gemm"), gemm_axes, true);
  profile.attention_prefill = read_models(object.at("attention_prefill"), prefill_axes, false);
  profile.attention_decode = read_models(object.at("attention_decode"), decode_axes, false);
  if (const auto moe = object.find("moe")) profile.moe = read_models(*moe, moe_axes, true);
  if (const auto latent = object.find("latent_prefill"))
    profile.latent_prefill = read_models(*latent, latent_axes, true);
  if (const auto latent = object.find("latent_decode"))
    profile.latent_decode = read_models(*latent, latent_axes, true);
  profile.elementwise = read_operator_model(object.at("elementwise"), elementwise_axes, false);
  if (const auto power = object.find("power")) profile.power = read_power_model(*power, profile.gpu);
  object.finish();
  return profile;
}

std::string write_gpu_profile(const GpuProfile& profile) {
  nlohmann::ordered_json json;
  json["format"] = format_name;
  json["version"] = format_version;
  json["gpu"] = profile.gpu;
  json["provenance"] = profile.scaled_from.empty()
                           ? profile.provenance
                           : fmt::format("scaled from {}: {}", profile.scaled_from, profile.provenance);
  json["gemm"] = models_json(profile.gemm);
  json["attention_prefill"] = models_json(profile.attention_prefill);
  json["attention_decode"] = models_json(profile.attention_decode);
  if (!profile.moe.empty()) json["moe"] = models_json(profile.moe);
  if (!profile.latent_prefill.empty()) json["latent_prefill"] = models_json(profile.latent_prefill);
  if (!profile.latent_decode.empty()) json["latent_decode"] = models_json(profile.latent_decode);
  json["elementwise"] = operator_model_json(profile.elementwise);
  if (profile.power) json["power"] = power_model_json(*profile.power);
  return readable_json(json);
}

GpuProfile find_gpu_profile(const std::string& gpu) {
  GpuProfile profile = read_gpu_profile(profile_document("gpu", gpu));
  if (!profile.power) profile.power = find_power_model(gpu);
  add_operators_by_rule(profile, shipped_operator_rules());
  return profile;
}

}  // namespace sextant
