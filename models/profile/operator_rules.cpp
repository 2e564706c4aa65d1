#include "models/profile/operator_rules.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <string_view>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "calibrate/profiles/operator-rules.json";
constexpr Range kernel_counts{1, 100};
using Models = std::map<std::string, OperatorModel>;

BoundedFigure read_time(const JsonValue& value) {
  const JsonObject object = value.object();
  const BoundedFigure time = read_bounded_figure(object.at("time"));
  object.finish();
  return time;
}

StateSpaceRule read_state_space(const JsonObject& object) {
  StateSpaceRule rule{read_bounded_figure(object.at("tensor")), read_bounded_figure(object.at("memory")),
                      read_figure(object.at("prefill_kernels"), kernel_counts),
                      read_figure(object.at("decode_kernels"), kernel_counts)};
  object.finish();
  return rule;
}

RoutingRule read_routing(const JsonObject& object) {
  RoutingRule rule{read_figure(object.at("exponent"), {0, 10}),
                   read_figure(object.at("largest_share"), {0.01, 1}),
                   read_bounded_figure(object.at("time"))};
  object.finish();
  return rule;
}

/// `model`, `time` times as slow, believed as far as the rule is.
OperatorModel by_rule(OperatorModel model, const BoundedFigure& time) {
  model.grade = weakest(model.grade, time.figure.grade);
  model.source = fmt::format("{}; from: {}", time.figure.source, model.source);
  model.roofline.tflops /= time.figure.value;
  model.roofline.memory_gbps /= time.figure.value;
  const Spread rule = spread_of(time);
  model.spread = {std::min(model.spread.low, rule.low), std::max(model.spread.high, rule.high)};
  model.median_error.reset();
  model.cross_validation.clear();
  model.by_rule = true;
  return model;
}

void add_head_sizes(Models& models, const OperatorRules& rules) {
  const std::string ending = fmt::format("/{}", rules.head_size_from);
  const Models measured = models;
  for (const auto& [key, model] : measured) {
    if (!key.ends_with(ending)) continue;
    const std::string type = key.substr(0, key.size() - ending.size());
    for (const std::int64_t size : rules.head_sizes)
      models.try_emplace(fmt::format("{}/{}", type, size), by_rule(model, rules.head_size_time));
  }
}

/// Copies every "fp8…" to "fp8_block…" that is not there.
void add_fp8_block(Models& models, const OperatorRules& rules) {
  const Models measured = models;
  for (const auto& [key, model] : measured) {
    constexpr std::string_view plain = "fp8";
    if (key != plain && !key.starts_with("fp8/")) continue;
    models.try_emplace("fp8_block" + key.substr(plain.size()), by_rule(model, rules.fp8_block_time));
  }
}

/// Copies every "…/bf16" to a "…/fp8" that is not there: the bytes of the cache are counted by the row.
void add_latent_caches(Models& models, const OperatorRules& rules) {
  const Models measured = models;
  for (const auto& [key, model] : measured) {
    constexpr std::string_view wide = "/bf16";
    if (key.ends_with(wide))
      models.try_emplace(key.substr(0, key.size() - wide.size()) + "/fp8",
                         by_rule(model, rules.latent_projections_time));
  }
}

/// Experts of "bf16/…" as "fp8_channel/…" at half the bytes and the arithmetic of the card's fp8 GEMM.
void add_fp8_channel(GpuProfile& profile, const OperatorRules& rules) {
  const auto wide = profile.gemm.find("bf16"), narrow = profile.gemm.find("fp8");
  if (wide == profile.gemm.end() || narrow == profile.gemm.end()) return;
  const Models measured = profile.moe;
  for (const auto& [key, model] : measured) {
    constexpr std::string_view from = "bf16/";
    if (!key.starts_with(from)) continue;
    const auto [place, is_new] = profile.moe.try_emplace("fp8_channel/" + key.substr(from.size()));
    if (!is_new) continue;
    place->second = by_rule(model, rules.fp8_channel_time);
    place->second.bytes_per_weight = narrow->second.bytes_per_weight;
    place->second.roofline.tflops *= narrow->second.roofline.tflops / wide->second.roofline.tflops;
  }
}

void add_latent_projections(Models& models, const GpuProfile& profile, const OperatorRules& rules) {
  const Models measured = models;
  for (const auto& [key, model] : measured) {
    constexpr std::string_view from = "bf16/";
    if (!key.starts_with(from)) continue;
    for (const auto& [type, gemm] : profile.gemm) {
      const auto [place, is_new] = models.try_emplace(type + "/" + key.substr(from.size()));
      if (!is_new) continue;
      place->second = by_rule(model, rules.latent_projections_time);
      place->second.bytes_per_weight = gemm.bytes_per_weight;
    }
  }
}

SendRule read_send(const JsonValue& value) {
  const JsonObject object = value.object();
  SendRule rule{read_bounded_figure(object.at("prompts")), read_bounded_figure(object.at("decodes"))};
  object.finish();
  return rule;
}

}  // namespace

OperatorRules read_operator_rules(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, "sextant operator rules", 1);
  OperatorRules rules;
  const JsonObject head_sizes = object.at("head_sizes").object();
  constexpr Range sizes{1, 1 << 16};
  rules.head_size_from = head_sizes.integer("from", sizes);
  for (const JsonValue& size : head_sizes.at("to").array()) rules.head_sizes.push_back(size.integer(sizes));
  rules.head_size_time = read_bounded_figure(head_sizes.at("time"));
  head_sizes.finish();
  rules.fp8_block_time = read_time(object.at("fp8_block"));
  rules.fp8_channel_time = read_time(object.at("fp8_channel"));
  rules.latent_projections_time = read_time(object.at("latent_projections"));
  rules.state_space = read_state_space(object.at("state_space").object());
  rules.routing = read_routing(object.at("routing").object());
  const JsonObject sends = object.at("beside_a_send").object();
  rules.beside_nvlink_send = read_send(sends.at("nvlink"));
  rules.beside_other_send = read_send(sends.at("other"));
  sends.finish();
  object.finish();
  return rules;
}

OperatorRules shipped_operator_rules() {
  static const OperatorRules rules = [] {
    const auto files = embedded_files(shipped_path);
    if (files.empty()) throw InputError(fmt::format("found no embedded file {}", shipped_path));
    return read_operator_rules(JsonValue::parse(files.front().content, shipped_path));
  }();
  return rules;
}

void add_operators_by_rule(GpuProfile& profile, const OperatorRules& rules) {
  add_head_sizes(profile.attention_prefill, rules);
  add_head_sizes(profile.attention_decode, rules);
  add_fp8_block(profile.gemm, rules);
  add_fp8_block(profile.moe, rules);
  add_fp8_channel(profile, rules);
  add_latent_caches(profile.latent_prefill, rules);
  add_latent_caches(profile.latent_decode, rules);
  add_latent_projections(profile.latent_prefill, profile, rules);
  add_latent_projections(profile.latent_decode, profile, rules);
}

namespace {

OperatorModel state_space_model(const GpuProfile& profile, const StateSpaceRule& rule,
                                const Figure& kernels) {
  const auto gemm = profile.gemm.find("bf16");
  if (gemm == profile.gemm.end())
    throw InputError(
        fmt::format("profile {} has no gemm of type bf16, which the rate of a state-space mixer "
                    "is taken from",
                    profile.gpu));
  OperatorModel model;
  model.grade = Grade::assumed;
  model.source = fmt::format("{}; {}", rule.tensor.figure.source, rule.memory.figure.source);
  model.roofline.tflops = gemm->second.roofline.tflops * rule.tensor.figure.value;
  model.roofline.memory_gbps = profile.elementwise.roofline.memory_gbps * rule.memory.figure.value;
  model.roofline.latency_us = profile.elementwise.roofline.latency_us * kernels.value;
  // A rate in [low, high] of value leaves a time between value / high and value / low.
  const auto fastest = [](const BoundedFigure& rate) { return rate.figure.value / rate.high; };
  const auto slowest = [](const BoundedFigure& rate) { return rate.figure.value / rate.low; };
  model.spread = {std::min(fastest(rule.tensor), fastest(rule.memory)),
                  std::max(slowest(rule.tensor), slowest(rule.memory))};
  model.by_rule = true;
  return model;
}

}  // namespace

OperatorModel state_space_prefill_model(const GpuProfile& profile, const StateSpaceRule& rule) {
  return state_space_model(profile, rule, rule.prefill_kernels);
}

OperatorModel state_space_decode_model(const GpuProfile& profile, const StateSpaceRule& rule) {
  return state_space_model(profile, rule, rule.decode_kernels);
}

}  // namespace sextant
