#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

constexpr Range contexts{1, 1 << 30};
constexpr Range factors{1e-3, 1e6};

/// What a kind of rotary scaling makes of the longest context.
enum class Scaling { none, stretched, stretched_original };

struct RopeType {
  std::string_view name;
  Scaling scaling;
  bool needs_factor;
};

// su, longrope and llama3 are scaled already in max_position_embeddings; default has nothing to scale with,
// though vLLM multiplies by a factor that it is given all the same.
constexpr std::array<RopeType, 9> rope_types = {{{"default", Scaling::stretched, false},
                                                 {"mrope", Scaling::stretched, false},
                                                 {"linear", Scaling::stretched, true},
                                                 {"dynamic", Scaling::stretched, true},
                                                 {"ntk", Scaling::stretched, true},
                                                 {"yarn", Scaling::stretched_original, true},
                                                 {"llama3", Scaling::none, true},
                                                 {"longrope", Scaling::none, false},
                                                 {"su", Scaling::none, false}}};

const RopeType& rope_type(const JsonValue& value) {
  const std::string name = value.text();
  std::vector<std::string> names;
  for (const RopeType& type : rope_types) {
    if (type.name == name) return type;
    names.emplace_back(type.name);
  }
  std::string known;
  for (const std::string& each : names) known += (known.empty() ? "" : ", ") + each;
  value.fail(fmt::format("found the unknown rope type \"{}\", expected one of {}{}", name, known,
                         did_you_mean(name, names)));
}

/// "rope_type", or "type" as older files have it, which then may be that of su and mrope.
JsonValue type_value(const JsonObject& scaling) {
  const auto named = scaling.find("rope_type"), legacy = scaling.find("type");
  if (!named) return legacy ? *legacy : scaling.at("rope_type");
  if (legacy && legacy->text() != named->text() && legacy->text() != "su" && legacy->text() != "mrope")
    legacy->fail(fmt::format("found \"{}\", expected \"{}\" as rope_type says, or no type", legacy->text(),
                             named->text()));
  return *named;
}

std::int64_t original_context(const JsonObject& config, const JsonObject& scaling) {
  constexpr auto key = "original_max_position_embeddings";
  if (!scaling.find(key) && config.find(key)) return config.integer(key, contexts);
  return scaling.integer(key, contexts);
}

/// The longest context with one kind of scaling.
std::int64_t scaled_context(const JsonObject& config, const JsonObject& scaling, std::int64_t context) {
  const RopeType& type = rope_type(type_value(scaling));
  const double factor =
      type.needs_factor ? scaling.number("factor", factors) : scaling.number_or("factor", 1, factors);
  if (type.scaling == Scaling::none) return context;
  const std::int64_t begin =
      type.scaling == Scaling::stretched_original ? original_context(config, scaling) : context;
  const double length = std::floor(static_cast<double>(begin) * factor);
  if (!(length >= contexts.low && length <= contexts.high))
    scaling.at("factor").fail(
        fmt::format("found {:g} for {} positions, expected from {} to {} of them in all", factor, begin,
                    contexts.low, contexts.high));
  return static_cast<std::int64_t>(length);
}

bool is_by_layer_type(const JsonObject& parameters) {
  const auto entries = parameters.entries();
  return !entries.empty() && std::all_of(entries.begin(), entries.end(),
                                         [](const auto& entry) { return entry.second.is_object(); });
}

/// Transformers 5: one block of parameters, or one for each type of layer, which count only where all agree.
std::int64_t context_of_parameters(const JsonObject& config, const JsonObject& parameters,
                                   std::int64_t context) {
  if (!is_by_layer_type(parameters)) {
    const bool untyped = !parameters.find("rope_type") && !parameters.find("type");
    return untyped && !parameters.find("factor") ? context : scaled_context(config, parameters, context);
  }
  std::vector<std::int64_t> scaled;
  for (const auto& [layer_type, block] : parameters.entries())
    scaled.push_back(context_of_parameters(config, block.object(), context));
  const bool agree = std::all_of(scaled.begin(), scaled.end(),
                                 [&](std::int64_t length) { return length == scaled.front(); });
  return agree ? scaled.front() : context;
}

}  // namespace

// vllm/config/model.py, _get_and_verify_max_len: max_position_embeddings times the factor, but for su,
// longrope and llama3; yarn begins at original_max_position_embeddings.
std::int64_t read_longest_context(const JsonObject& config) {
  const std::int64_t context = config.integer("max_position_embeddings", contexts);
  if (const auto parameters = config.find("rope_parameters"))
    return context_of_parameters(config, parameters->object(), context);
  if (const auto scaling = config.find("rope_scaling"))
    return scaled_context(config, scaling->object(), context);
  return context;
}

}  // namespace sextant
