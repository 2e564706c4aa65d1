#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/profile/measurement.hpp"

namespace sextant {

/// One measured kernel as the cost formula of models/cost sees it.
struct FitSample {
  std::vector<double> coordinates;  ///< of its family's efficiency grid
  double flops = 0;
  double bytes = 0;
  double resident_bytes = 0;  ///< of them, what a real model streams from DRAM: weights, keys and values
  double us = 0;
  std::uint64_t shape = 0;  ///< equal for rows that are left out together when the fit is tested
  bool serving = true;      ///< of a size that serving meets: errors are counted over these
};

// flops, bytes and coordinates exactly as in models/cost/operator_time.cpp.
FitSample sample_of(const GemmRow&);
FitSample sample_of(const AttentionPrefillRow&);
FitSample sample_of(const AttentionDecodeRow&);

}  // namespace sextant
