#pragma once
#include <array>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/profile/assumptions.hpp"
#include "models/profile/measurement.hpp"
#include "sim/validation/comparison.hpp"
#include "sim/validation/profile_store.hpp"
#include "sim/validation/round_time.hpp"

namespace sextant {

/// A step row's values in milliseconds: one round, and one pass of each stage.
struct PredictedRound {
  Prediction round;
  std::vector<Prediction> stages;
};

/// Rounds of microbatches through a model on the usual node of a card, the layers split evenly.
///
/// Intervals: each operator family at either end of its own, errors fully correlated within it and
/// independent between; effects and the structural term (what no operator covers) add in quadrature.
class StepRows {
 public:
  explicit StepRows(ProfileStore&);
  ~StepRows();
  /// Throws InputError for an unknown model, weights, kv type or engine, for a layout that cannot be, and
  /// where the profile lacks an operator.
  PredictedRound predict(const StepRow&, const std::string& gpu);

 private:
  struct Setup;
  Setup& setup(const StepRow&, const std::string& gpu);
  void make_room(std::int64_t costs);
  Prediction prediction(const std::array<WayRound, 3>& ways,
                        const std::function<double(const WayRound&)>& seconds) const;

  ProfileStore& profiles_;
  BoundedFigure structural_;
  std::map<std::string, Setup> setups_;
  std::int64_t cached_costs_ = 0;
};

}  // namespace sextant
