#include "calibrate/measure/device/prefill_attention.hpp"

#include <fmt/core.h>

#include <array>
#include <cmath>
#include <limits>

#include "calibrate/measure/device/attention_graph.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

/// The engine configurations that a heuristic suggests, best first.
std::vector<CudnnDescriptor> suggestions(const Cudnn& cudnn, const AttentionGraph& graph,
                                         cudnnBackendHeurMode_t mode) {
  CudnnDescriptor heuristic(cudnn, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR);
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph.graph());
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, mode);
  heuristic.finalize();
  std::int64_t count = 0;
  cudnn.check(cudnn.get(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, 0,
                        &count, nullptr),
              "cudnnBackendGetAttribute CUDNN_ATTR_ENGINEHEUR_RESULTS");
  std::vector<CudnnDescriptor> found;
  std::vector<cudnnBackendDescriptor_t> raw;
  for (std::int64_t i = 0; i < count; ++i) {
    found.emplace_back(cudnn, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR);
    raw.push_back(found.back().get());
  }
  if (count > 0)
    cudnn.check(cudnn.get(heuristic.get(), CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                          count, &count, raw.data()),
                "cudnnBackendGetAttribute CUDNN_ATTR_ENGINEHEUR_RESULTS");
  while (found.size() > static_cast<std::size_t>(count)) found.pop_back();
  return found;
}

}  // namespace

PrefillAttention::PrefillAttention(const Cudnn& cudnn, const PrefillShape& shape) : shape_(shape) {
  std::string reason = "no engine suggested";
  try {
    const AttentionGraph graph(cudnn, shape);
    for (const cudnnBackendHeurMode_t mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK}) {
      for (const CudnnDescriptor& configuration : suggestions(cudnn, graph, mode)) {
        auto plan = std::make_unique<CudnnDescriptor>(cudnn, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR);
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, CUDNN_TYPE_HANDLE, cudnn.handle());
        plan->set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration);
        if (!plan->try_finalize(reason)) continue;
        std::int64_t bytes = 0, count = 0;
        cudnn.check(cudnn.get(plan->get(), CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1,
                              &count, &bytes),
                    "cudnnBackendGetAttribute CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE");
        workspace_bytes_ = static_cast<std::size_t>(bytes);
        plan_ = std::move(plan);
        return;
      }
    }
  } catch (const Error& error) {
    reason = error.what();
  }
  throw Error(ExitCode::failure,
              fmt::format("skipped: cuDNN {} has no fused attention for {} heads, {} kv heads, "
                          "head size {}, {} new and {} past tokens: {}",
                          cudnn.version(), shape.heads, shape.kv_heads, shape.head_dim, shape.new_tokens,
                          shape.past_tokens, reason));
}

void PrefillAttention::run(const Cudnn& cudnn, const PrefillOperands& operands, void* workspace,
                           cudaStream_t stream) const {
  float scale = static_cast<float>(1 / std::sqrt(static_cast<double>(shape_.head_dim)));
  float minus_infinity = std::numeric_limits<float>::lowest();
  auto kv_length = static_cast<std::int32_t>(shape_.past_tokens + shape_.new_tokens);
  auto query_length = static_cast<std::int32_t>(shape_.new_tokens);
  std::vector<std::int64_t> ids = {query_id, keys_id, values_id, output_id, scale_id, minus_infinity_id};
  std::vector<void*> pointers = {const_cast<void*>(operands.query),
                                 const_cast<void*>(operands.keys),
                                 const_cast<void*>(operands.values),
                                 operands.output,
                                 &scale,
                                 &minus_infinity};
  if (shape_.past_tokens > 0) {
    ids.insert(ids.end(), {kv_length_id, query_length_id});
    pointers.insert(pointers.end(), {&kv_length, &query_length});
  }
  CudnnDescriptor pack(cudnn, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR);
  const auto count = static_cast<std::int64_t>(ids.size());
  pack.set(CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, pointers.data());
  pack.set(CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, workspace);
  pack.finalize();
  cudnn.set_stream(stream);
  cudnn.check(cudnn.execute(cudnn.handle(), plan_->get(), pack.get()), "cudnnBackendExecute");
}

}  // namespace sextant::measure
