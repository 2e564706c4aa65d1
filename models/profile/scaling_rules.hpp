#pragma once
#include <map>
#include <string>

#include "models/base/figure.hpp"
#include "models/profile/spread.hpp"

namespace sextant {

/// How far an operator family's times, scaled from another card, are from the card's own: true over
/// predicted.
struct ScaledError {
  Spread spread;  ///< at ratios of 1
  /// The part of a ratio, in logarithms, that some times do not follow: a ratio r leaves them r^unfollowed
  /// away from the prediction.
  double unfollowed = 0;
  Grade grade = Grade::assumed;
  std::string source;
};

/// By family ("attention_decode"), or by family and type where that differs ("moe/fp8").
using ScaledErrors = std::map<std::string, ScaledError>;

/// Errors of scaling by how far two cards are from each other ("same_chip").
struct ScalingRules {
  std::map<std::string, ScaledErrors> distances;
};

/// {"format": "sextant scaling rules", "version": 1, …}; strict. Throws InputError.
ScalingRules read_scaling_rules(const JsonValue&);
/// The shipped rules, calibrate/profiles/scaling-rules.json.
const ScalingRules& shipped_scaling_rules();

/// The type's own error, else the family's; null where the rules have neither.
const ScaledError* find_scaled_error(const ScaledErrors&, const std::string& family, const std::string& type);

/// A model's interval on the scaled card: the wider of its own and the rule's, and on each side as far as
/// times may fail to follow the larger of the ratios.
Spread scaled_spread(const Spread& own, const ScaledError&, double tensor_ratio, double memory_ratio);

}  // namespace sextant
