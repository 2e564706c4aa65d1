#include "models/llm/architecture.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include "models/llm/family.hpp"
#include "models/llm/layer_parts.hpp"

namespace sextant {

std::vector<std::string> known_architectures() {
  std::vector<std::string> names;
  for (const ModelFamily& family : families()) names.push_back(family.name);
  return names;
}

Architecture read_architecture(const JsonValue& config, const std::string& name) {
  const JsonObject object = config.object();
  const std::vector<JsonValue> architectures = object.at("architectures").array();
  if (architectures.empty())
    object.at("architectures").fail("found an empty array, expected one architecture");
  const std::string found = architectures.front().text();
  for (const ModelFamily& family : families()) {
    if (family.name != found) continue;
    Architecture architecture = family.read(object);
    architecture.name = name;
    architecture.family = family.name;
    if (!architecture.quantisation) architecture.quantisation = read_quantisation(object);
    return architecture;
  }
  const std::vector<std::string> known = known_architectures();
  architectures.front().fail(fmt::format("found the unknown architecture \"{}\", expected one of {}{}", found,
                                         fmt::join(known, ", "), did_you_mean(found, known)));
}

std::int64_t Architecture::parameters() const {
  std::int64_t total = vocabulary * hidden * (tied_embedding ? 1 : 2) + hidden;  // the last: final norm
  for (int i = 0; i < layer_count(); ++i) {
    const LayerParts parts = layer_parts(layer(i), hidden, {});
    for (const Matrix& matrix : parts.matrices) total += matrix.outputs * matrix.inputs * matrix.count;
    total += parts.norm_weights + parts.biases;
  }
  return total + encoder.cut + encoder.whole;
}

std::int64_t Architecture::active_parameters() const {
  std::int64_t idle = 0;
  for (int i = 0; i < layer_count(); ++i) {
    const auto* moe = std::get_if<MixtureOfExperts>(&layer(i).feed_forward);
    if (!moe) continue;
    const std::int64_t width = moe->latent > 0 ? moe->latent : hidden;
    const std::int64_t biases = moe->expert_bias ? (moe->gated ? 2 : 1) * moe->intermediate + width : 0;
    idle +=
        (moe->experts - moe->experts_per_token) * ((moe->gated ? 3 : 2) * moe->intermediate * width + biases);
  }
  return parameters() - encoder.cut - encoder.whole - idle;
}

}  // namespace sextant
