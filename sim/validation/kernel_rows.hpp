#pragma once
#include "models/profile/measurement.hpp"
#include "sim/validation/comparison.hpp"
#include "sim/validation/profile_store.hpp"

namespace sextant {

// Single operators of one GPU. Each returns microseconds, or why not; each throws InputError if the GPU has
// no profile or its profile lacks the type.

/// A 16-bit float is a 16-bit float: fp16 costs what bf16 does.
Outcome predict(const GemmRow&, const GpuProfile&);
Outcome predict(const AttentionPrefillRow&, const GpuProfile&);
/// `context` counts the new token.
Outcome predict(const AttentionDecodeRow&, const GpuProfile&);
/// Operations and bytes as stage_operators counts them (models/llm/operators.cpp): rmsnorm adds to the
/// residual and norms.
Outcome predict(const ElementwiseRow&, const GpuProfile&);

/// Routed experts, balanced or skewed; skewed ones over several GPUs time the fullest.
Outcome predict(const MoeRow&, const GpuProfile&);

/// Relative speed of work "tensor" or "stream" under a power limit the card can be set to.
Outcome predict(const PowerRow&, const GpuProfile&);

/// Whole modules of DeepSeek-V3, which the rows do not name; their kernels alone nothing predicts.
Outcome predict(const MlaPrefillRow&, const GpuProfile&);
Outcome predict(const MlaDecodeRow&, const GpuProfile&);

// Kinds that are read and counted, and that nothing predicts yet.
Outcome predict(const CopyRow&);
Outcome predict(const OverlapRow&);
Outcome predict(const RdmaRow&);
Outcome predict(const TcpRow&);

}  // namespace sextant
