#pragma once
#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>

namespace sextant::measure {

// The small kernels of a layer, fused as vLLM fuses them. All values bf16 unless a pointer says otherwise;
// widths are multiples of 8. `fp8_output`: the result as e4m3 times `scale`'s reciprocal, for an fp8 GEMM to
// read.

/// residual += input; output = residual / rms(residual) * weight. `input` may be null (first norm).
struct NormArguments {
  const void* input = nullptr;
  void* residual = nullptr;
  const void* weight = nullptr;
  void* output = nullptr;
  bool fp8_output = false;
  std::int64_t tokens = 0, width = 0;
};
void residual_rmsnorm(const NormArguments&, cudaStream_t);

/// output[tokens, width] = silu(in[:, :width]) * in[:, width:].
void silu_multiply(const void* gate_up, void* output, bool fp8_output, std::int64_t tokens,
                   std::int64_t width, cudaStream_t);

/// RMSNorm of every query and key head of qkv[tokens, (heads + 2 kv_heads) * head_dim] in place (Qwen3's
/// qk-norm).
void normalize_heads(void* qkv, const void* weight, std::int64_t tokens, std::int64_t heads,
                     std::int64_t kv_heads, std::int64_t head_dim, cudaStream_t);

/// Rotates queries and keys in place (half-split pairs, as Llama does) and writes keys and values into the
/// pages of the cache: token i of a sequence goes to position `first_position` + i.
struct RopeArguments {
  void* qkv = nullptr;    ///< [tokens, (heads + 2 kv_heads) * head_dim]
  void* query = nullptr;  ///< [tokens, heads * head_dim]: where the rotated queries go, contiguous
  void* keys = nullptr;   ///< cache; may be null: queries and keys are rotated only
  void* values = nullptr;
  const std::int32_t* page_table = nullptr;  ///< null: the cache is [sequence, position, kv_heads, head_dim]
  std::int64_t tokens = 0, tokens_per_sequence = 1, first_position = 0, cache_tokens = 0;
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0;
  bool fp8_cache = false;
};
void rope_and_cache(const RopeArguments&, cudaStream_t);

/// output[tokens, width] = table[ids[token]].
void embed(const void* table, const std::int32_t* ids, void* output, std::int64_t tokens, std::int64_t width,
           std::int64_t rows, cudaStream_t);

/// Greedy sampling as vLLM does it: one kernel makes fp32 logits, one finds the highest of each row.
void sample_greedy(const void* logits, float* fp32_logits, std::int32_t* ids, std::int64_t rows,
                   std::int64_t width, cudaStream_t);

/// bf16 to e4m3.
void quantize_fp8(const void* input, void* output, std::int64_t count, cudaStream_t);
/// The last token's row of every sequence.
void gather_last(const void* input, void* output, std::int64_t sequences, std::int64_t tokens_per_sequence,
                 std::int64_t width, cudaStream_t);
/// A kernel that does nothing.
void empty_kernel(cudaStream_t);

}  // namespace sextant::measure
