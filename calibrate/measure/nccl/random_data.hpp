#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include "calibrate/measure/nccl/plan/operation.hpp"

namespace sextant::nccl {

/// Where the element j that a rank must find after an operation comes from: which ranks' inputs, and where in
/// them.
struct Expectation {
  Operation operation = Operation::all_reduce;
  DataType type = DataType::bfloat16;
  Reduction reduction = Reduction::sum;
  int first_rank = 0, rank_stride = 1,
      members = 1;        ///< member q of the group is rank first + q * stride of the run
  int member = 0;         ///< whose output it is
  int source = 0;         ///< member that sends (broadcast, send, sendrecv)
  std::size_t base = 0;   ///< index of the slot's first element in every rank's input
  std::size_t share = 0;  ///< elements of one member in a gather, scatter or all-to-all
};

/// Writes count random elements, never 0, full mantissas: element i is a function of (rank, first_index + i).
/// Floating: magnitudes from 0.5 to 1.5, both signs. Asynchronous on the stream of the current device.
void fill_random(void* data, DataType, std::size_t count, int rank, std::size_t first_index, cudaStream_t);

/// Adds to *wrong (device memory) the elements of `data` that differ from what is expected by more than
/// rounding in that type explains; NaN is always wrong. Asynchronous.
void count_wrong(const void* data, std::size_t count, const Expectation&, unsigned long long* wrong,
                 cudaStream_t);

}  // namespace sextant::nccl
