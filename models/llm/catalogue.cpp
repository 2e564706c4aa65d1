#include "models/llm/catalogue.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr std::string_view folder = "models/llm/catalogue/";
constexpr std::string_view config_ending = ".config.json";

JsonValue embedded_json(const std::string& path) {
  for (const EmbeddedFile& file : embedded_files(path))
    if (file.path == path) return JsonValue::parse(file.content, path);
  throw InputError(fmt::format("{}: not embedded in this binary", path));
}

/// {"weights", "parts": {part: format}, "source"}: how a checkpoint in that format stores those parts.
Quantisation read_mixture(const JsonObject& object) {
  const std::vector<std::pair<std::string, Part>> names = {
      {"attention", Part::attention},         {"mlp", Part::mlp},     {"experts", Part::experts},
      {"shared_expert", Part::shared_expert}, {"mamba", Part::mamba},
  };
  Quantisation mixture{weight_format(object.text("weights")).name};
  for (const auto& [name, value] : object.at("parts").object().entries()) {
    const auto known = std::find_if(names.begin(), names.end(),
                                    [&part = name](const auto& entry) { return entry.first == part; });
    if (known == names.end())
      value.fail(
          fmt::format("found the part {}, expected attention, mlp, experts, shared_expert or mamba", name));
    if (const WeightFormat format = weight_format(value.text()); format.name == WeightFormat{}.name)
      mixture.sixteen_bit.push_back(known->second);
    else
      mixture.others.push_back({known->second, format});
  }
  object.text("source");
  object.finish();
  return mixture;
}

void read_side_car(const JsonObject& object, ModelEntry& entry) {
  entry.hugging_face_id = object.text("hugging_face_id");
  entry.config_source = object.text("config_source");
  entry.published_parameters = object.number_or("published_parameters", 0, {0, 1e15});
  for (const JsonValue& item : object.at("checkpoints").array()) {
    const JsonObject checkpoint = item.object();
    entry.checkpoints.push_back(
        {checkpoint.text("weights"), checkpoint.number("bytes", {1, 1e15}), checkpoint.text("source")});
    checkpoint.finish();
  }
  if (const auto mixtures = object.find("mixed_weights"))
    for (const JsonValue& mixture : mixtures->array())
      entry.architecture.mixtures.push_back(read_mixture(mixture.object()));
  if (const auto generation = object.find("generation_config")) {
    const JsonObject keys = generation->object();
    entry.architecture.sampling = read_sampling(keys).over({});
    keys.text("source");
    keys.finish();
  }
  entry.notes = object.text_or("notes", "");
  object.finish();
}

bool is_path(const std::string& text) {
  return text.find('/') != std::string::npos || text.ends_with(".json");
}

}  // namespace

std::vector<std::string> model_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : embedded_files(folder)) {
    if (!file.path.ends_with(config_ending)) continue;
    names.emplace_back(
        file.path.substr(folder.size(), file.path.size() - folder.size() - config_ending.size()));
  }
  return names;
}

namespace {

bool same_model(const Architecture& a, const Architecture& b) {
  return a.family == b.family && a.hidden == b.hidden && a.vocabulary == b.vocabulary &&
         a.layer_count() == b.layer_count() && a.parameters() == b.parameters();
}

/// What the generation_config.json beside a config.json says; without one, that of the catalogue's model of
/// the same sizes.
SamplingParameters sampling_beside(const std::string& config, const Architecture& architecture) {
  const auto generation = std::filesystem::path(config).replace_filename("generation_config.json");
  if (std::filesystem::exists(generation))
    return read_sampling(JsonValue::read(generation.string()).object()).over({});
  for (const std::string& name : model_names())
    if (const Architecture known = find_model(name).architecture; same_model(known, architecture))
      return known.sampling;
  return {};
}

/// What Model Optimizer before 0.31 wrote beside a config.json that says nothing itself.
std::optional<Quantisation> quantisation_beside(const std::string& config) {
  const auto file = std::filesystem::path(config).replace_filename("hf_quant_config.json");
  if (!std::filesystem::exists(file)) return std::nullopt;
  return read_model_optimizer(JsonValue::read(file.string()).object().at("quantization").object(),
                              JsonValue::read(config).object());
}

}  // namespace

ModelEntry find_model(const std::string& name_or_path) {
  ModelEntry entry;
  if (is_path(name_or_path)) {
    entry.architecture = read_architecture(JsonValue::read(name_or_path), name_or_path);
    if (!entry.architecture.quantisation) entry.architecture.quantisation = quantisation_beside(name_or_path);
    entry.architecture.sampling = sampling_beside(name_or_path, entry.architecture);
    entry.config_source = name_or_path;
    return entry;
  }
  const std::vector<std::string> names = model_names();
  for (const std::string& name : names) {
    if (name != name_or_path) continue;
    const std::string stem = fmt::format("{}{}", folder, name);
    entry.architecture = read_architecture(embedded_json(stem + std::string(config_ending)), name);
    read_side_car(embedded_json(stem + ".json").object(), entry);
    return entry;
  }
  throw InputError(fmt::format("model: found \"{}\", expected one of {}, or the path of a config.json{}",
                               name_or_path, fmt::join(names, ", "), did_you_mean(name_or_path, names)));
}

}  // namespace sextant
