#pragma once
#include <vector>

#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/grouped_blas.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::measure {

/// The feed-forward part of a mixture of experts on one GPU, its tokens sorted by expert and spread evenly:
/// grouped product with gate and up, SwiGLU, grouped product with down.
class Mixture {
 public:
  explicit Mixture(const MoeRow&);
  std::int64_t rows() const { return rows_; }    ///< tokens times topk
  std::int64_t width() const { return width_; }  ///< intermediate of this GPU
  int active() const { return active_; }         ///< experts that get tokens
  std::size_t expert_bytes() const;              ///< gate, up, down, bf16

  /// Memory of one variant: which experts are active is its choice.
  struct Buffers {
    const std::byte* experts = nullptr;  ///< all experts' weights, expert after expert
    int first_expert = 0;
    const std::byte* input = nullptr;  ///< [rows, hidden]
    std::byte* gate_up = nullptr;      ///< [rows, 2 width]
    std::byte* activated = nullptr;    ///< [rows, width]
    std::byte* output = nullptr;       ///< [rows, hidden]
  };
  static constexpr int pointer_lists = 6;
  /// Device memory that the lists of one variant take.
  std::size_t list_bytes() const { return static_cast<std::size_t>(pointer_lists * active_) * sizeof(void*); }
  void write_lists(const Buffers&, void* lists, cudaStream_t) const;
  void run(const GroupedBlas&, const Buffers&, const void* lists, cudaStream_t) const;
  /// First row of the place-th active expert.
  std::int64_t first_row(int place) const;

 private:
  MoeRow shape_;
  std::int64_t rows_, width_;
  int active_;
  std::vector<GroupedBlas::Group> groups_;  ///< experts with one row more first
};

}  // namespace sextant::measure
