#pragma once
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// How one GPU's figures relate to another's of the same family, for a GPU that nobody has measured enough.
struct ProfileScale {
  Figure tensor;                                 ///< ratio of tensor-core rates, where no type has its own
  std::map<std::string, Figure> tensor_by_type;  ///< by dtype of GEMM and MoE, where it differs
  Figure memory;                                 ///< ratio of memory rates
  Figure latency;                                ///< ratio of kernel latencies
  Figure spread_widening;                        ///< factor by which intervals widen, each way; >= 1
};

/// `base` with its rooflines multiplied, its intervals widened and its grades lowered to `scaled`, or to the
/// grade of the ratios used where that is weaker.
GpuProfile scaled(const GpuProfile& base, const ProfileScale&);

/// Reads a profile file with "scaled_from" and resolves it. Throws InputError.
GpuProfile read_scaled_profile(const JsonObject&, const GpuProfileFinder& base);

}  // namespace sextant
