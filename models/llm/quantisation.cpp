#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <string_view>

#include "models/llm/family.hpp"

namespace sextant {
namespace {

/// The part that a module's name or pattern belongs to; nullopt for embedding, head, norms and encoders,
/// which are in 16 bit in any case.
std::optional<Part> part_of(std::string_view module) {
  // More telling words first: a shared expert's name contains the routed ones', its projections an mlp's.
  constexpr std::array<std::pair<std::string_view, Part>, 9> words = {{{"router", Part::router},
                                                                       {"mlp.gate", Part::router},
                                                                       {"shared_expert", Part::shared_expert},
                                                                       {"experts", Part::experts},
                                                                       {"mamba", Part::mamba},
                                                                       {"self_attn", Part::attention},
                                                                       {"attention", Part::attention},
                                                                       {"feed_forward", Part::mlp},
                                                                       {"mlp", Part::mlp}}};
  constexpr std::array<std::string_view, 3> beside = {"vision", "multi_modal", "lm_head"};
  for (const std::string_view word : beside)
    if (module.find(word) != std::string_view::npos) return std::nullopt;
  for (const auto& [word, part] : words) {
    const std::size_t at = module.find(word);
    if (at == std::string_view::npos) continue;
    // "mlp.gate" is a router, "mlp.gate_proj" is not.
    if (word == "mlp.gate" && at + word.size() < module.size() && module[at + word.size()] == '_') continue;
    return part;
  }
  return std::nullopt;
}

/// "model.layers.12.self_attn" -> "12"; "" for a pattern that holds for every layer.
std::string layer_of(const std::string& module) {
  constexpr std::string_view word = "layers.";
  const std::size_t at = module.find(word);
  if (at == std::string::npos) return "";
  std::size_t end = at + word.size();
  while (end < module.size() && module[end] >= '0' && module[end] <= '9') ++end;
  return module.substr(at + word.size(), end - at - word.size());
}

/// Parts that a list of modules leaves in 16 bit, in each of the layers.
std::vector<Part> sixteen_bit_parts(const JsonObject& object, const char* key, std::int64_t layers) {
  std::map<Part, std::set<std::string>> found;
  if (const auto modules = object.find(key))
    for (const JsonValue& module : modules->array())
      if (const auto part = part_of(module.text())) found[*part].insert(layer_of(module.text()));
  std::vector<Part> parts;
  for (const auto& [part, in_layers] : found) {
    const bool everywhere = in_layers.contains("") || static_cast<std::int64_t>(in_layers.size()) == layers;
    if (!everywhere)
      object.at(key).fail(
          fmt::format("found modules of {} layers only, expected a part in all {} of them or in none",
                      in_layers.size(), layers));
    parts.push_back(part);
  }
  return parts;
}

/// The weight format of compressed-tensors' one group of weights.
std::string compressed_format(const JsonObject& object) {
  const JsonValue groups = object.at("config_groups");
  const auto entries = groups.object().entries();
  if (entries.size() != 1) groups.fail(fmt::format("found {} groups, expected one", entries.size()));
  const JsonObject weights = entries.front().second.object().at("weights").object();
  const std::int64_t bits = weights.integer("num_bits", {1, 16});
  const std::string type = weights.text("type"), strategy = weights.text("strategy");
  if (bits == 8 && type == "float" && strategy == "channel") return "fp8-dynamic";
  if (bits == 8 && type == "float" && strategy == "tensor") return "fp8";
  if (bits == 8 && type == "int" && strategy == "channel") return "int8";
  weights.fail(
      fmt::format("found {}-bit {} weights with scales per {}, expected 8-bit float per channel or "
                  "tensor, or 8-bit int per channel",
                  bits, type, strategy));
}

std::string grouped_int4(const JsonObject& object, const char* format) {
  const std::int64_t bits = object.integer("bits", {1, 16}),
                     group = object.integer("group_size", {-1, 1 << 20});
  if (bits != 4 || group != 128)
    object.fail(fmt::format("found {} bits in groups of {}, expected 4 in groups of 128", bits, group));
  return format;
}

/// DeepSeek's own scheme; without blocks, one scale for each matrix.
std::string block_fp8(const JsonObject& object) {
  const auto blocks = object.find("weight_block_size");
  if (!blocks) return "fp8";
  const std::vector<JsonValue> sizes = blocks->array();
  constexpr Range any{1, 1 << 20};
  if (sizes.size() != 2 || sizes[0].integer(any) != 128 || sizes[1].integer(any) != 128)
    blocks->fail("found other blocks, expected [128, 128]");
  return "fp8-block";
}

/// "kv_cache_scheme": {"num_bits": 8, "type": "float", …}, a static scale for each tensor or head.
std::string fp8_scheme(const JsonValue& value) {
  const JsonObject scheme = value.object();
  const std::int64_t bits = scheme.integer("num_bits", {1, 64});
  const std::string type = scheme.text("type"), strategy = scheme.text_or("strategy", "tensor");
  const bool known_scales = strategy == "tensor" || strategy == "attn_head";
  if (bits != 8 || type != "float" || !known_scales)
    value.fail(fmt::format("found {}-bit {} with scales per {}, expected 8-bit float per tensor or attn_head",
                           bits, type, strategy));
  for (const auto& [key, expected] : {std::pair{"symmetric", true}, std::pair{"dynamic", false}})
    if (scheme.boolean_or(key, expected) != expected)
      scheme.at(key).fail(fmt::format("found {}, expected {}", !expected, expected));
  return "fp8";
}

/// Model Optimizer's kv_cache_scheme, or its older kv_cache_quant_algo (get_kv_cache_quant_algo_string of
/// vllm/utils/torch_utils.py).
std::string optimizer_kv(const JsonObject& object) {
  if (const auto scheme = object.find("kv_cache_scheme")) return fp8_scheme(*scheme);
  const auto algorithm = object.find("kv_cache_quant_algo");
  if (!algorithm) return "";
  if (const std::string name = algorithm->text(); name != "FP8" && name != "fp8")
    algorithm->fail(fmt::format("found \"{}\", expected \"FP8\" or none", name));
  return "fp8";
}

std::int64_t layer_count(const JsonObject& config) {
  const auto text = config.find("text_config");
  return read_layer_count(text ? text->object() : config);
}

}  // namespace

std::optional<Quantisation> read_model_optimizer(const JsonObject& object, const JsonObject& config) {
  Quantisation quantisation;
  quantisation.format = object.choice("quant_algo", {"FP8", "NVFP4"}) == 0 ? "fp8" : "nvfp4";
  quantisation.sixteen_bit = sixteen_bit_parts(
      object, object.find("exclude_modules") ? "exclude_modules" : "ignore", layer_count(config));
  quantisation.kv = optimizer_kv(object);
  return quantisation;
}

std::optional<Quantisation> read_quantisation(const JsonObject& config) {
  const auto found = config.find("quantization_config");
  if (!found) return std::nullopt;
  const JsonObject object = found->object();
  const std::size_t method =
      object.choice("quant_method", {"compressed-tensors", "mxfp4", "awq", "gptq", "fp8", "modelopt"});
  if (method == 5) return read_model_optimizer(object, config);
  Quantisation quantisation;
  if (method == 0) quantisation.format = compressed_format(object);
  if (method == 1) quantisation.format = "mxfp4";
  if (method == 2) quantisation.format = grouped_int4(object, "awq-int4");
  if (method == 3) quantisation.format = grouped_int4(object, "gptq-int4");
  if (method == 4) quantisation.format = block_fp8(object);
  quantisation.sixteen_bit =
      sixteen_bit_parts(object, method == 0 ? "ignore" : "modules_to_not_convert", layer_count(config));
  // vllm/model_executor/layers/attention/attention.py (v0.19): a scheme in the file wins over kv_cache_dtype.
  if (const auto scheme = object.find("kv_cache_scheme"); scheme && method == 0) {
    quantisation.kv = fp8_scheme(*scheme);
    quantisation.kv_fixed = true;
  }
  return quantisation;
}

}  // namespace sextant
