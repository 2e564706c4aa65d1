#pragma once
#include <cuda_runtime_api.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <vector>

#include "calibrate/measure/device/cudnn_backend.hpp"

namespace sextant::measure {

/// One layer's causal attention of `batch` chunks of `new_tokens`, each after `past_tokens` cached ones.
struct PrefillShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 128;
  std::int64_t batch = 1;
  std::int64_t new_tokens = 0;
  std::int64_t past_tokens = 0;
  auto operator<=>(const PrefillShape&) const = default;
};

/// All bf16. query, output: [batch, new, heads, head_dim]; keys, values: [batch, past + new, kv_heads,
/// head_dim].
struct PrefillOperands {
  const void* query = nullptr;
  const void* keys = nullptr;
  const void* values = nullptr;
  void* output = nullptr;
};

/// cuDNN's fused attention as a plan of its backend interface: query token i sees the past and tokens 0..i.
class PrefillAttention {
 public:
  /// Throws Error "skipped: ..." where the library has no engine for the shape. Compiles its kernel: half a
  /// second.
  PrefillAttention(const Cudnn&, const PrefillShape&);
  std::size_t workspace_bytes() const { return workspace_bytes_; }
  /// With the handle of the calling thread, which need not be the one it was made with.
  void run(const Cudnn&, const PrefillOperands&, void* workspace, cudaStream_t) const;

 private:
  PrefillShape shape_;
  std::unique_ptr<CudnnDescriptor> plan_;
  std::size_t workspace_bytes_ = 0;
};

}  // namespace sextant::measure
