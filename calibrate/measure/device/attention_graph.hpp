#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "calibrate/measure/device/cudnn_backend.hpp"
#include "calibrate/measure/device/prefill_attention.hpp"

namespace sextant::measure {

/// Names of the tensors that a plan is given memory for.
enum AttentionTensor : std::int64_t {
  query_id = 1,
  keys_id,
  values_id,
  output_id,
  scale_id,
  minus_infinity_id,
  kv_length_id,
  query_length_id,
  first_virtual_id
};

/// Scaled dot-product attention spelt out as cuDNN's pattern of operations: Q K^T, scale, causal mask against
/// the bottom right corner, softmax, times V. The order and the types are those that cuDNN recognises as its
/// fused attention; they follow NVIDIA's cudnn-frontend (composite SDPA node, Apache-2.0 and MIT).
class AttentionGraph {
 public:
  AttentionGraph(const Cudnn&, const PrefillShape&);
  const CudnnDescriptor& graph() const { return *graph_; }

 private:
  using Tensor = const CudnnDescriptor*;
  using Dimensions = std::vector<std::int64_t>;
  Tensor tensor(std::int64_t id, const Dimensions& sizes, const Dimensions& strides, cudnnDataType_t,
                bool is_virtual, bool by_value);
  Tensor memory(std::int64_t id, const Dimensions& sizes, const Dimensions& strides);
  Tensor scalar(std::int64_t id, cudnnDataType_t);
  Tensor between(const Dimensions& sizes, cudnnDataType_t type = CUDNN_DATA_FLOAT);
  void matmul(Tensor a, Tensor b, Tensor c);
  Tensor pointwise(cudnnPointwiseMode_t, Tensor x, Tensor b, Tensor y,
                   cudnnDataType_t compute = CUDNN_DATA_FLOAT, Tensor choice = nullptr,
                   std::int64_t axis = -1);
  Tensor reduce(cudnnReduceTensorOp_t, Tensor x, const Dimensions& sizes);
  Tensor mask(Tensor scores, const Dimensions& score_sizes, bool past);
  Tensor softmax(Tensor scores, const Dimensions& score_sizes, const Dimensions& row_sizes);

  const Cudnn& cudnn_;
  std::vector<std::unique_ptr<CudnnDescriptor>> kept_;
  std::vector<cudnnBackendDescriptor_t> operations_;
  std::unique_ptr<CudnnDescriptor> graph_;
  std::int64_t next_virtual_ = first_virtual_id;
};

}  // namespace sextant::measure
