#pragma once
#include <optional>

#include "models/profile/gpu_profile.hpp"
#include "models/profile/scaling_rules.hpp"

namespace sextant {

/// How one GPU's figures relate to another's, for a GPU that nobody has measured enough.
struct ProfileScale {
  Figure tensor;                                 ///< ratio of tensor-core rates, where no type has its own
  std::map<std::string, Figure> tensor_by_type;  ///< by dtype of GEMM and MoE, where it differs
  Figure memory;                                 ///< ratio of memory rates
  Figure latency;                                ///< ratio of kernel latencies
  /// What scaling between two cards that far apart was found to err by (scaling_rules.hpp).
  std::optional<ScaledErrors> errors;
  /// Factor by which intervals widen beyond that, each way, for what is special to the card; >= 1.
  std::optional<Figure> spread_widening;
};

/// `base` with its rooflines multiplied, its intervals widened and its grades lowered to `scaled`, or to the
/// grade of the ratios used where that is weaker.
GpuProfile scaled(const GpuProfile& base, const ProfileScale&);

/// Reads a profile file with "scaled_from" and resolves it; "distance" names one of the shipped scaling
/// rules. Throws InputError.
GpuProfile read_scaled_profile(const JsonObject&, const GpuProfileFinder& base);

}  // namespace sextant
