#pragma once
#include "models/hardware/catalogue.hpp"
#include "models/profile/engine_profile.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// Whether the GPU's compute capability begins with one of these numbers.
bool is_of_major(const Gpu&, const std::vector<int>& compute_capability_majors);

/// The GPU's profile as that engine finds it: its own set of kernels where there is one, and what the engine
/// profile says of kernels that differ from those of the tables.
GpuProfile with_engine_kernels(const GpuProfile&, const EngineProfile&, const Gpu&);

/// A GEMM takes no longer than one of the same weights and more rows: whoever times kernels before serving
/// (TensorRT-LLM's autotuner) can always pad.
void pad_gemms_where_faster(GpuProfile&);

/// Decode attention over an fp8 cache at the rates and efficiencies of a 16-bit one of as many tokens: half
/// of the bytes, half of the time where memory binds.
void read_fp8_kv_as_16_bit(GpuProfile&);

}  // namespace sextant
