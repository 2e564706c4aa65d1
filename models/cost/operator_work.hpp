#pragma once
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

#include "models/cost/cost.hpp"

// What an operator has to do and where it stands in its family's efficiency grid: one formula for the times
// that are predicted (operator_time.cpp) and the measurements that profiles are fitted to (calibrate/fit).
namespace sextant {

/// A point of an efficiency grid; GpuProfile states the coordinates of each family.
struct GridPoint {
  static constexpr std::size_t most_dimensions = 4;
  std::array<double, most_dimensions> values{};
  std::size_t dimensions = 0;
  std::span<const double> coordinates() const { return {values.data(), dimensions}; }
};

struct OperatorWork {
  double flops = 0;
  double bytes = 0;           ///< all that the kernel reads and writes while it computes
  double serial_bytes = 0;    ///< moved by small kernels before and after it, which hide behind nothing
  double streamed_bytes = 0;  ///< of them, what a real model finds in DRAM: weights, keys and values
  GridPoint point;
};

/// out[m, n] = in[m, k] weight[n, k]^T: 2 m n k FLOPs; inputs and weights read, 16-bit outputs written.
OperatorWork gemm_work(const std::string& type, double bytes_per_weight, double m, double n, double k);

/// Causal attention of one chunk: 4 heads head_dim FLOPs for each query-key pair; keys and values read once,
/// queries in and outputs out. Each query sees itself and what is before it, at most `window` tokens.
/// `kernel_tokens` are the new tokens of all chunks of the kernel: they fill the GPU together.
OperatorWork attention_prefill_work(const AttentionShape&, double kv_element_bytes, PrefillChunk,
                                    double kernel_tokens);

/// Attention of `batch` decodes over `context` tokens each on average, the new ones included.
OperatorWork attention_decode_work(const AttentionShape&, double kv_element_bytes, double batch,
                                   double context);

/// The same work for several new tokens of each sequence: what streams in (weights, cached tokens) streams
/// once, arithmetic, queries and outputs are so many times as much.
OperatorWork for_several_tokens(OperatorWork, double tokens);

/// A small kernel that reads and writes so many bytes for each token.
OperatorWork elementwise_work(double bytes_per_token, double tokens);

/// What a measured row of a small kernel's operation stands for.
struct ElementwiseMoves {
  double bytes_per_value = 0;
  int kernels = 1;  ///< one after another, timed together
};
/// As stage_operators counts them (models/llm/operators.cpp), over the width of a row: rmsnorm adds to the
/// residual and norms; sampling turns the logits to fp32 and takes the highest. nullopt: no such operation.
std::optional<ElementwiseMoves> elementwise_moves(const std::string& op);

/// How a router spreads tokens over experts. Balanced: every expert gets its share as exactly as whole tokens
/// allow, so that few tokens touch as many experts as they can. Any other: experts are met by chance.
inline constexpr auto balanced_routing = "balanced";
inline constexpr auto skewed_routing = "power_law";

/// The routed experts of one layer on one GPU, for `tokens` that reach the layer: topk / expert_parallel of
/// each token's experts stand here. Reads the weights of those experts that some token meets; 2 FLOPs for
/// each weight and token-expert pair.
/// Small kernels gather the tokens of each expert, apply the activation and sum the experts' outputs: they
/// move the hidden state of each pair in and out, and three times its width (twice, where there is no gate).
/// `fullest`: how many times its equal share of the pairs this GPU gets (expert_parallel.hpp).
OperatorWork moe_work(const MoeShape&, const std::string& routing, double bytes_per_weight, double tokens,
                      double fullest = 1);

/// Seconds of the work at the roofline's rates, without latency and efficiency.
double roofline_seconds(const Roofline&, const OperatorWork&);

}  // namespace sextant
