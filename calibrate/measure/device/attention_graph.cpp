#include "calibrate/measure/device/attention_graph.hpp"

namespace sextant::measure {
namespace {

constexpr std::int64_t byte_alignment = 16;

std::vector<std::int64_t> packed_strides(const std::vector<std::int64_t>& sizes) {
  std::vector<std::int64_t> strides(sizes.size(), 1);
  for (std::size_t i = sizes.size() - 1; i > 0; --i) strides[i - 1] = strides[i] * sizes[i];
  return strides;
}

}  // namespace

AttentionGraph::AttentionGraph(const Cudnn& cudnn, const PrefillShape& shape) : cudnn_(cudnn) {
  const std::int64_t b = shape.batch, h = shape.heads, kv = shape.kv_heads, d = shape.head_dim,
                     rows = shape.new_tokens, columns = shape.past_tokens + shape.new_tokens;
  // In memory a token's heads lie together, as a GEMM writes them and as the KV cache keeps them.
  const Tensor query = memory(query_id, {b, h, rows, d}, {rows * h * d, d, h * d, 1});
  const Tensor keys = memory(keys_id, {b, kv, d, columns}, {columns * kv * d, d, 1, kv * d});
  const Tensor values = memory(values_id, {b, kv, columns, d}, {columns * kv * d, d, kv * d, 1});
  const Tensor output = memory(output_id, {b, h, rows, d}, {rows * h * d, d, h * d, 1});

  const Dimensions score_sizes = {b, h, rows, columns}, row_sizes = {b, h, rows, 1};
  const Tensor products = between(score_sizes);
  matmul(query, keys, products);
  const Tensor scaled =
      pointwise(CUDNN_POINTWISE_MUL, products, scalar(scale_id, CUDNN_DATA_FLOAT), between(score_sizes));
  const Tensor masked = mask(scaled, score_sizes, shape.past_tokens > 0);
  matmul(softmax(masked, score_sizes, row_sizes), values, output);

  graph_ = std::make_unique<CudnnDescriptor>(cudnn, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR);
  graph_->set(CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
              static_cast<std::int64_t>(operations_.size()), operations_.data());
  graph_->set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, CUDNN_TYPE_HANDLE, cudnn.handle());
  graph_->finalize();
}

AttentionGraph::Tensor AttentionGraph::tensor(std::int64_t id, const Dimensions& sizes,
                                              const Dimensions& strides, cudnnDataType_t type,
                                              bool is_virtual, bool by_value) {
  auto made = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  made->set(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, type);
  made->set(CUDNN_ATTR_TENSOR_DIMENSIONS, sizes);
  made->set(CUDNN_ATTR_TENSOR_STRIDES, strides);
  made->set(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, id);
  made->set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, byte_alignment);
  made->set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, is_virtual);
  made->set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, CUDNN_TYPE_BOOLEAN, by_value);
  made->finalize();
  kept_.push_back(std::move(made));
  return kept_.back().get();
}

AttentionGraph::Tensor AttentionGraph::memory(std::int64_t id, const Dimensions& sizes,
                                              const Dimensions& strides) {
  return tensor(id, sizes, strides, CUDNN_DATA_BFLOAT16, false, false);
}

AttentionGraph::Tensor AttentionGraph::scalar(std::int64_t id, cudnnDataType_t type) {
  return tensor(id, {1, 1, 1, 1}, {1, 1, 1, 1}, type, false, true);
}

AttentionGraph::Tensor AttentionGraph::between(const Dimensions& sizes, cudnnDataType_t type) {
  return tensor(next_virtual_++, sizes, packed_strides(sizes), type, true, false);
}

void AttentionGraph::matmul(Tensor a, Tensor b, Tensor c) {
  auto how = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  how->set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  how->finalize();
  auto operation = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  operation->set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, *a);
  operation->set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, *b);
  operation->set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, *c);
  operation->set(CUDNN_ATTR_OPERATION_MATMUL_DESC, *how);
  operation->finalize();
  operations_.push_back(operation->get());
  kept_.push_back(std::move(how));
  kept_.push_back(std::move(operation));
}

AttentionGraph::Tensor AttentionGraph::pointwise(cudnnPointwiseMode_t mode, Tensor x, Tensor b, Tensor y,
                                                 cudnnDataType_t compute, Tensor choice, std::int64_t axis) {
  auto how = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  how->set(CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, mode);
  how->set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, compute);
  if (axis >= 0) how->set(CUDNN_ATTR_POINTWISE_AXIS, CUDNN_TYPE_INT64, axis);
  how->finalize();
  auto operation = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  operation->set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, *how);
  operation->set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, *x);
  if (b != nullptr) operation->set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, *b);
  if (choice != nullptr) operation->set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, *choice);
  operation->set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, *y);
  operation->finalize();
  operations_.push_back(operation->get());
  kept_.push_back(std::move(how));
  kept_.push_back(std::move(operation));
  return y;
}

AttentionGraph::Tensor AttentionGraph::reduce(cudnnReduceTensorOp_t kind, Tensor x, const Dimensions& sizes) {
  const Tensor y = between(sizes);
  auto how = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  how->set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, CUDNN_DATA_FLOAT);
  how->set(CUDNN_ATTR_REDUCTION_OPERATOR, CUDNN_TYPE_REDUCTION_OPERATOR_TYPE, kind);
  how->finalize();
  auto operation = std::make_unique<CudnnDescriptor>(cudnn_, CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  operation->set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, *x);
  operation->set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, *y);
  operation->set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, *how);
  operation->finalize();
  operations_.push_back(operation->get());
  kept_.push_back(std::move(how));
  kept_.push_back(std::move(operation));
  return y;
}

AttentionGraph::Tensor AttentionGraph::mask(Tensor scores, const Dimensions& sizes, bool past) {
  const auto integers = [&] { return between(sizes, CUDNN_DATA_INT32); };
  constexpr std::int64_t row_axis = 2, column_axis = 3;
  Tensor row =
      pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, nullptr, integers(), CUDNN_DATA_FLOAT, nullptr, row_axis);
  const Tensor column = pointwise(CUDNN_POINTWISE_GEN_INDEX, scores, nullptr, integers(), CUDNN_DATA_FLOAT,
                                  nullptr, column_axis);
  if (past) {
    row = pointwise(CUDNN_POINTWISE_ADD, row, scalar(kv_length_id, CUDNN_DATA_INT32), integers(),
                    CUDNN_DATA_INT32);
    row = pointwise(CUDNN_POINTWISE_SUB, row, scalar(query_length_id, CUDNN_DATA_INT32), integers(),
                    CUDNN_DATA_INT32);
  }
  const Tensor seen =
      pointwise(CUDNN_POINTWISE_CMP_GE, row, column, between(sizes, CUDNN_DATA_BOOLEAN), CUDNN_DATA_BOOLEAN);
  return pointwise(CUDNN_POINTWISE_BINARY_SELECT, scores, scalar(minus_infinity_id, CUDNN_DATA_FLOAT),
                   between(sizes), CUDNN_DATA_FLOAT, seen);
}

AttentionGraph::Tensor AttentionGraph::softmax(Tensor scores, const Dimensions& sizes,
                                               const Dimensions& row_sizes) {
  const Tensor highest = reduce(CUDNN_REDUCE_TENSOR_MAX, scores, row_sizes);
  const Tensor distance = pointwise(CUDNN_POINTWISE_SUB, scores, highest, between(sizes));
  const Tensor power = pointwise(CUDNN_POINTWISE_EXP, distance, nullptr, between(sizes));
  const Tensor sum = reduce(CUDNN_REDUCE_TENSOR_ADD, power, row_sizes);
  // The statistics a training run would keep: part of the pattern, though nothing reads them.
  const Tensor logarithm = pointwise(CUDNN_POINTWISE_LOG, sum, nullptr, between(row_sizes));
  pointwise(CUDNN_POINTWISE_ADD, highest, logarithm, between(row_sizes));
  return pointwise(CUDNN_POINTWISE_DIV, power, sum, between(sizes, CUDNN_DATA_BFLOAT16));
}

}  // namespace sextant::measure
