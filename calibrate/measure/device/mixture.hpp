#pragma once
#include <vector>

#include "calibrate/measure/common/routing.hpp"
#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/grouped_blas.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::measure {

/// The experts of one layer on one GPU for tokens whose routing is known: rows gathered by expert, grouped
/// product with gate and up, SwiGLU, grouped product with down, weighted sum of each token's rows.
class Mixture {
 public:
  Mixture(const MoeRow&, Routing);
  std::int64_t rows() const { return rows_; }                             ///< of this GPU's experts
  std::int64_t width() const { return width_; }                           ///< intermediate of this GPU
  int active() const { return static_cast<int>(routing_.loads.size()); }  ///< experts that get tokens
  std::size_t expert_bytes() const;                                       ///< gate, up, down, bf16
  const Routing& routing() const { return routing_; }

  /// Where it reads and writes, all bf16 but the weights of the sum.
  struct Buffers {
    const std::byte* experts = nullptr;  ///< all experts' weights, expert after expert
    const std::byte* input = nullptr;    ///< [tokens, hidden]
    const float* shares = nullptr;       ///< [tokens, topk]: of each expert in the sum
    std::byte* gathered = nullptr;       ///< [rows, hidden]
    std::byte* gate_up = nullptr;        ///< [rows, 2 width]
    std::byte* activated = nullptr;      ///< [rows, width]
    std::byte* expert_output = nullptr;  ///< [rows, hidden]
    std::byte* output = nullptr;         ///< [tokens, hidden]
  };
  /// Device memory for the lists of pointers and places.
  std::size_t list_bytes() const;
  void write_lists(const Buffers&, void* lists, cudaStream_t) const;
  void run(const GroupedBlas&, const Buffers&, const void* lists, cudaStream_t) const;

 private:
  std::size_t pointer_bytes() const;
  MoeRow shape_;
  Routing routing_;
  std::int64_t rows_, width_;
  std::vector<GroupedBlas::Group> groups_;  ///< experts with equal numbers of rows, fullest first
};

/// The router's choice: ids and shares (softmax over the chosen) of the `topk` highest of each token's
/// logits[tokens, experts], bf16. At most 256 experts.
void choose_experts(const void* logits, std::int32_t* ids, float* shares, std::int64_t tokens, int experts,
                    int topk, cudaStream_t);
/// output[row] = input[row_tokens[row]].
void gather_rows(const void* input, const std::int32_t* row_tokens, void* output, std::int64_t rows,
                 std::int64_t width, cudaStream_t);
/// output[token] = sum over i of shares[token, i] * input[token_rows[token, i]], without rows of -1.
void sum_rows(const void* input, const std::int32_t* token_rows, const float* shares, void* output,
              std::int64_t tokens, int topk, std::int64_t width, cudaStream_t);

}  // namespace sextant::measure
