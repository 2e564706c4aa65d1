#include "models/profile/scaling_rules.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

constexpr auto shipped_path = "calibrate/profiles/scaling-rules.json";

ScaledError read_error(const JsonValue& value) {
  const JsonObject object = value.object();
  ScaledError error;
  error.spread = read_spread(object.at("spread"));
  error.unfollowed = object.number("unfollowed", {0, 1});
  error.grade = read_grade(object);
  error.source = object.text("source");
  object.finish();
  return error;
}

}  // namespace

ScalingRules read_scaling_rules(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, "sextant scaling rules", 1);
  ScalingRules rules;
  for (const auto& [distance, item] : object.at("distances").object().entries()) {
    const JsonObject entry = item.object();
    entry.text("meaning");
    ScaledErrors& errors = rules.distances[distance];
    for (const auto& [family, error] : entry.at("families").object().entries())
      errors.emplace(family, read_error(error));
    entry.finish();
  }
  object.finish();
  return rules;
}

const ScalingRules& shipped_scaling_rules() {
  static const ScalingRules rules = [] {
    const auto files = embedded_files(shipped_path);
    if (files.empty()) throw InputError(fmt::format("found no embedded file {}", shipped_path));
    return read_scaling_rules(JsonValue::parse(files.front().content, shipped_path));
  }();
  return rules;
}

const ScaledError* find_scaled_error(const ScaledErrors& errors, const std::string& family,
                                     const std::string& type) {
  auto found = errors.find(fmt::format("{}/{}", family, type));
  if (found == errors.end()) found = errors.find(family);
  return found == errors.end() ? nullptr : &found->second;
}

Spread scaled_spread(const Spread& own, const ScaledError& error, double tensor_ratio, double memory_ratio) {
  const double largest = std::max({1.0, tensor_ratio, memory_ratio}),
               smallest = std::min({1.0, tensor_ratio, memory_ratio});
  return {std::min(own.low, error.spread.low) * std::pow(smallest, error.unfollowed),
          std::max(own.high, error.spread.high) * std::pow(largest, error.unfollowed)};
}

}  // namespace sextant
