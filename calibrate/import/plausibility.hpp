#pragma once
#include <optional>
#include <string>

#include "calibrate/import/import_limits.hpp"
#include "models/hardware/catalogue.hpp"
#include "models/profile/measurement.hpp"

namespace sextant {

/// Compares times with what the GPU's data sheet allows, to tell a swapped unit from a measurement. It never
/// corrects one.
class Plausibility {
 public:
  /// A GPU that the catalogue does not have is held to the shortest time alone.
  Plausibility(const std::string& gpu, const ImportLimits&);

  /// The time in us that a row's arithmetic and its data beyond the L2's size take at the data sheet's rates;
  /// 0 where the catalogue or the kind says nothing.
  double least_us(const MeasurementRow&) const;
  /// What is wrong with a row of this time ("found …, expected …"); nullopt if nothing is.
  std::optional<std::string> objection(const MeasurementRow&, double us);
  /// What is wrong with all rows seen so far together.
  std::optional<std::string> objection_to_all() const;

 private:
  double rate(const std::string& type) const;  ///< FLOP/us; 0 if unknown
  double fastest(const std::string&, const std::string&) const;
  double bytes_us(double bytes) const;
  double link_us(const CollectiveRow&) const;
  double flops_us(double flops, double rate) const { return rate > 0 ? flops / rate : 0; }
  double least(const GemmRow&) const;
  double least(const MoeRow&) const;
  double least(const AttentionPrefillRow&) const;
  double least(const AttentionDecodeRow&) const;
  double least(const MlaPrefillRow&) const;
  double least(const MlaDecodeRow&) const;
  double least(const CollectiveRow&) const;
  template <class Row>
  double least(const Row&) const {
    return 0;
  }

  const ImportLimits& limits_;
  const Gpu* gpu_ = nullptr;
  double l2_bytes_ = 0;
  double best_share_ = 0;
  double judged_ = 0;
};

}  // namespace sextant
