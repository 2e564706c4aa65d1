#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "models/base/figure.hpp"

namespace sextant {

/// The 90 % interval of a predicted value, in its unit.
struct PredictedInterval {
  double low90 = 0, high90 = 0;
};

/// What the models say a value is.
struct Prediction {
  double value = 0;
  std::optional<PredictedInterval> interval;  ///< nullopt: none was asked for, or nothing gives one
  Grade grade = Grade::assumed;               ///< the weakest that was used
  bool extrapolated = false;                  ///< asked outside a fitted range
};

/// Why nothing predicts a value.
struct NotPredicted {
  std::string why;
};

/// A prediction, or why there is none: never neither.
using Outcome = std::variant<Prediction, NotPredicted>;

/// One measured value of a row beside its prediction.
struct Comparison {
  std::string file;
  std::size_t line = 0;
  std::string kind, gpu;
  std::string part;      ///< what within the kind: a GEMM's type, a collective's operation, a serving metric
  std::string shape;     ///< the row in words, for its reader
  std::string quantity;  ///< "us", "ms", or a metric's name
  double measured = 0;
  /// Whether it counts in the summary of its kind; a stage's time beside its round's does only in its part's.
  bool headline = true;
  Outcome outcome = NotPredicted{};

  const Prediction* prediction() const { return std::get_if<Prediction>(&outcome); }
  /// predicted / measured - 1; nullopt where nothing is predicted or the measured value is 0.
  std::optional<double> error() const {
    const Prediction* predicted = prediction();
    if (predicted == nullptr || measured == 0) return std::nullopt;
    return predicted->value / measured - 1;
  }
};

}  // namespace sextant
