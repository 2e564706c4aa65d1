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
constexpr std::size_t gemm_axes = 3, prefill_axes = 4, decode_axes = 4, elementwise_axes = 1,
                      elementwise_op_axes = 2, moe_axes = 4, latent_axes = 3;

using Models = OperatorModels;

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

/// What both maps have, the first's models before the second's.
Models joined(Models own, const Models& rest) {
  own.insert(rest.begin(), rest.end());
  return own;
}

KernelSet read_kernel_set(const JsonValue& value) {
  const JsonObject object = value.object();
  KernelSet set;
  if (const auto gemm = object.find("gemm")) set.gemm = read_models(*gemm, gemm_axes, true);
  if (const auto prefill = object.find("attention_prefill"))
    set.attention_prefill = read_models(*prefill, prefill_axes, false);
  if (const auto decode = object.find("attention_decode"))
    set.attention_decode = read_models(*decode, decode_axes, false);
  if (const auto moe = object.find("moe")) set.moe = read_models(*moe, moe_axes, true);
  object.finish();
  return set;
}

nlohmann::ordered_json kernel_set_json(const KernelSet& set) {
  auto json = nlohmann::ordered_json::object();
  if (!set.gemm.empty()) json["gemm"] = models_json(set.gemm);
  if (!set.attention_prefill.empty()) json["attention_prefill"] = models_json(set.attention_prefill);
  if (!set.attention_decode.empty()) json["attention_decode"] = models_json(set.attention_decode);
  if (!set.moe.empty()) json["moe"] = models_json(set.moe);
  return json;
}

/// The families of a file's own, all of them optional.
GpuProfile read_families(const JsonObject& object) {
  GpuProfile profile;
  const auto models = [&](const char* family, std::size_t axes, bool weights) {
    const auto value = object.find(family);
    return value ? read_models(*value, axes, weights) : Models();
  };
  profile.gemm = models("gemm", gemm_axes, true);
  profile.attention_prefill = models("attention_prefill", prefill_axes, false);
  profile.attention_decode = models("attention_decode", decode_axes, false);
  profile.moe = models("moe", moe_axes, true);
  profile.latent_prefill = models("latent_prefill", latent_axes, true);
  profile.latent_decode = models("latent_decode", latent_axes, true);
  if (const auto elementwise = object.find("elementwise"))
    profile.elementwise = read_operator_model(*elementwise, elementwise_axes, false);
  profile.elementwise_ops = models("elementwise_ops", elementwise_op_axes, false);
  if (const auto kernels = object.find("kernels"))
    for (const auto& [name, set] : kernels->object().entries())
      profile.kernels.emplace(name, read_kernel_set(set));
  if (const auto power = object.find("power")) profile.power = read_power_model(*power, object.text("gpu"));
  if (const auto load = object.find("load")) profile.load = read_load_model(*load);
  return profile;
}

/// What is measured of this GPU, and the rest from another profile.
GpuProfile read_completed(const JsonObject& object, const GpuProfileFinder& base) {
  const std::string gpu = object.text("gpu"), provenance = object.text("provenance");
  const JsonValue other = object.at("rest_from");
  if (other.text() == gpu)
    other.fail(fmt::format("found \"{}\", expected another profile than its own", gpu));
  GpuProfile profile = read_families(object);
  object.finish();
  const GpuProfile rest = base(other.text());
  profile.gpu = gpu;
  profile.provenance = fmt::format("{}; what that lacks: {}", provenance, rest.provenance);
  profile.gemm = joined(std::move(profile.gemm), rest.gemm);
  profile.attention_prefill = joined(std::move(profile.attention_prefill), rest.attention_prefill);
  profile.attention_decode = joined(std::move(profile.attention_decode), rest.attention_decode);
  profile.moe = joined(std::move(profile.moe), rest.moe);
  profile.latent_prefill = joined(std::move(profile.latent_prefill), rest.latent_prefill);
  profile.latent_decode = joined(std::move(profile.latent_decode), rest.latent_decode);
  if (!object.has("elementwise")) profile.elementwise = rest.elementwise;
  profile.elementwise_ops = joined(std::move(profile.elementwise_ops), rest.elementwise_ops);
  profile.kernels.insert(rest.kernels.begin(), rest.kernels.end());
  if (!profile.power) profile.power = rest.power;
  if (!profile.load) profile.load = rest.load;
  return profile;
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
  if (object.has("rest_from")) return read_completed(object, base);
  const std::string gpu = object.text("gpu"), provenance = object.text("provenance");
  for (const char* family : {"gemm", "attention_prefill", "attention_decode", "elementwise"})
    object.at(family);
  GpuProfile profile = read_families(object);
  profile.gpu = gpu;
  profile.provenance = provenance;
  object.finish();
  return profile;
}

void for_each_model(GpuProfile& profile,
                    const std::function<void(const ModelName&, OperatorModel&)>& change) {
  const auto typed = [&](const char* family, Models& models) {
    for (auto& [key, model] : models) change({family, key.substr(0, key.find('/'))}, model);
  };
  const auto untyped = [&](const char* family, Models& models) {
    for (auto& [key, model] : models) change({family, {}}, model);
  };
  typed("gemm", profile.gemm);
  typed("moe", profile.moe);
  typed("latent_prefill", profile.latent_prefill);
  typed("latent_decode", profile.latent_decode);
  untyped("attention_prefill", profile.attention_prefill);
  untyped("attention_decode", profile.attention_decode);
  untyped("elementwise", profile.elementwise_ops);
  for (auto& [name, set] : profile.kernels) {
    typed("gemm", set.gemm);
    typed("moe", set.moe);
    untyped("attention_prefill", set.attention_prefill);
    untyped("attention_decode", set.attention_decode);
  }
  change({"elementwise", {}}, profile.elementwise);
}

GpuProfile with_kernels(const GpuProfile& profile, const std::string& name) {
  GpuProfile result = profile;
  result.kernels.clear();
  const auto found = profile.kernels.find(name);
  if (found == profile.kernels.end()) return result;
  const KernelSet& set = found->second;
  result.gemm = joined(set.gemm, profile.gemm);
  result.attention_prefill = joined(set.attention_prefill, profile.attention_prefill);
  result.attention_decode = joined(set.attention_decode, profile.attention_decode);
  result.moe = joined(set.moe, profile.moe);
  return result;
}

std::string write_gpu_profile(const GpuProfile& profile, const std::string& rest_from) {
  nlohmann::ordered_json json;
  json["format"] = format_name;
  json["version"] = format_version;
  json["gpu"] = profile.gpu;
  json["provenance"] = profile.scaled_from.empty()
                           ? profile.provenance
                           : fmt::format("scaled from {}: {}", profile.scaled_from, profile.provenance);
  if (!rest_from.empty()) json["rest_from"] = rest_from;
  json["gemm"] = models_json(profile.gemm);
  json["attention_prefill"] = models_json(profile.attention_prefill);
  json["attention_decode"] = models_json(profile.attention_decode);
  if (!profile.moe.empty()) json["moe"] = models_json(profile.moe);
  if (!profile.latent_prefill.empty()) json["latent_prefill"] = models_json(profile.latent_prefill);
  if (!profile.latent_decode.empty()) json["latent_decode"] = models_json(profile.latent_decode);
  json["elementwise"] = operator_model_json(profile.elementwise);
  if (!profile.elementwise_ops.empty()) json["elementwise_ops"] = models_json(profile.elementwise_ops);
  for (const auto& [name, set] : profile.kernels) json["kernels"][name] = kernel_set_json(set);
  if (profile.power) json["power"] = power_model_json(*profile.power);
  if (profile.load) json["load"] = load_model_json(*profile.load);
  return readable_json(json);
}

GpuProfile find_gpu_profile(const std::string& gpu) {
  GpuProfile profile = read_gpu_profile(profile_document("gpu", gpu));
  if (!profile.power) profile.power = find_power_model(gpu);
  add_operators_by_rule(profile, shipped_operator_rules());
  return profile;
}

}  // namespace sextant
