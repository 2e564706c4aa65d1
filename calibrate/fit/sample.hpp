#pragma once
#include <optional>
#include <vector>

#include "models/cost/operator_work.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

/// One measured kernel as the cost formula of models/cost sees it.
struct FitSample {
  OperatorWork work;
  double us = 0;
  std::vector<double> shape;  ///< what tells it from others when shapes are left out to test a fit
  bool serving = true;        ///< of a size that serving meets: errors are counted over these
};

FitSample sample_of(const GemmRow&);  ///< shape: (n, k)
FitSample sample_of(const AttentionPrefillRow&);
FitSample sample_of(const AttentionDecodeRow&);
/// One kernel of the row's; shape: (tokens, width). nullopt: an operation that nothing counts.
std::optional<FitSample> sample_of(const ElementwiseRow&);
FitSample sample_of(const MoeRow&);  ///< shape: all but the tokens

/// Whole modules only; rows do not name the model: the tables time DeepSeek-V3's. shape: all coordinates.
FitSample sample_of(const MlaPrefillRow&);
FitSample sample_of(const MlaDecodeRow&);

}  // namespace sextant
