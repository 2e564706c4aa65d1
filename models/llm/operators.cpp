#include "models/llm/operators.hpp"

#include <algorithm>

#include "models/llm/layer_parts.hpp"

namespace sextant {
namespace {

constexpr double bytes_16_bit = 2;
constexpr double bytes_fp32 = 4;

double product(std::int64_t a, std::int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

template <class Shape>
void add(std::vector<Counted<Shape>>& list, const Shape& shape) {
  const auto same = [&](const Counted<Shape>& entry) { return entry.shape == shape; };
  const auto found = std::find_if(list.begin(), list.end(), same);
  if (found == list.end())
    list.push_back({shape, 1});
  else
    ++found->count;
}

/// What every layer of a stage needs to know.
struct Context {
  const Architecture& architecture;
  const WeightFormat& weights;
  const KvFormat& kv;
  const StageShape& stage;
};

/// Adds to the residual and norms, in one kernel (vLLM's fused_add_rms_norm): reads both, writes both.
ElementwiseShape residual_norm(std::int64_t hidden) {
  return {"rmsnorm", 4 * static_cast<double>(hidden) * bytes_16_bit};
}

void add_all_reduce(StageOperators& operators, const Context& context) {
  if (context.stage.tensor_parallel > 1)
    add(operators.collectives,
        {"all_reduce", static_cast<double>(context.architecture.hidden) * bytes_16_bit});
}

LayerCut cut_of(const StageShape& stage) {
  return {stage.tensor_parallel, stage.expert_parallel};
}

/// Matrices that are fused run as one GEMM of all their outputs; routed experts are no GEMMs of their own.
void add_gemms(StageOperators& operators, const Context& context, const LayerKind& kind) {
  const LayerParts parts = layer_parts(kind, context.architecture.hidden, cut_of(context.stage));
  for (std::size_t i = 0; i < parts.matrices.size();) {
    const Matrix& first = parts.matrices[i];
    const bool plain = stays_sixteen_bit(context.architecture, context.weights, first.part);
    GemmShape gemm{plain ? "bf16" : context.weights.gemm_type, 0, first.inputs};
    for (; i < parts.matrices.size() && parts.matrices[i].fused == first.fused &&
           parts.matrices[i].part == first.part;
         ++i)
      gemm.n += parts.matrices[i].outputs;
    if (first.part != Part::experts) add(operators.gemms, gemm);
  }
}

void add_mixer(StageOperators&, const Context&, const std::monostate&) {}

// Appending the new keys and values to the cache is counted with attention.
void add_mixer(StageOperators& operators, const Context& context, const GroupedQueryAttention& attention) {
  const GroupedQueryAttention local = local_attention(attention, context.stage.tensor_parallel);
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  // Both read and write every query and key.
  const double queries_and_keys = 2 * product(local.heads + local.kv_heads, local.head_dim) * bytes_16_bit;
  if (attention.qk_norm || attention.unweighted_qk_norm)
    add(operators.elementwise, {"rmsnorm", queries_and_keys});
  if (attention.rotary) add(operators.elementwise, {"rope", queries_and_keys});
  add(operators.attentions, {local.heads, local.kv_heads, local.head_dim, attention.window.value_or(0),
                             context.kv.name, attention.chunk.value_or(0)});
  add_all_reduce(operators, context);
}

/// Reads gate and up, writes their product.
ElementwiseShape gated_activation(std::int64_t width) {
  return {"activation", 3 * static_cast<double>(width) * bytes_16_bit};
}

void add_feed_forward(StageOperators&, const Context&, const std::monostate&) {}

void add_feed_forward(StageOperators& operators, const Context& context, const GatedMlp& mlp) {
  const GatedMlp local = local_mlp(mlp, context.stage.tensor_parallel);
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  add(operators.elementwise, gated_activation(local.intermediate));
  add_all_reduce(operators, context);
}

// The all-reduce sums what the GPUs' shares of routed and shared experts have given, at once.
void add_feed_forward(StageOperators& operators, const Context& context, const MixtureOfExperts& moe) {
  const LayerCut cut = cut_of(context.stage);
  const MixtureOfExperts local = local_experts(moe, cut);
  const std::int64_t hidden = context.architecture.hidden;
  const bool plain = stays_sixteen_bit(context.architecture, context.weights, Part::experts);
  add(operators.elementwise, residual_norm(hidden));
  // Softmax and top-k in one kernel: reads a 16-bit score for each expert, writes a 32-bit weight and a
  // 32-bit index for each one taken.
  constexpr double bytes_index = 4;
  add(operators.elementwise,
      {"routing", static_cast<double>(moe.experts) * bytes_16_bit +
                      static_cast<double>(moe.experts_per_token) * (bytes_fp32 + bytes_index)});
  add(operators.moes,
      {hidden, moe.intermediate, moe.experts, moe.experts_per_token, expert_tensor_parallel(cut),
       cut.expert_parallel, plain ? "bf16" : context.weights.moe_type, true});
  if (moe.shared_intermediate > 0) {
    add(operators.elementwise, gated_activation(local.shared_intermediate));
    // Adds the routed experts' output to the shared one's: reads both, writes one.
    add(operators.elementwise, {"residual", 3 * static_cast<double>(hidden) * bytes_16_bit});
  }
  add_all_reduce(operators, context);
}

void add_embedding(StageOperators& operators, const Context& context) {
  // Reads one row of the table, writes it.
  add(operators.elementwise,
      {"embedding", 2 * static_cast<double>(context.architecture.hidden) * bytes_16_bit});
  add_all_reduce(operators, context);
}

void add_head(StageOperators& operators, const Context& context) {
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  const std::int64_t tp = context.stage.tensor_parallel;
  const std::int64_t share = local_vocabulary(context.architecture, tp);
  add(operators.sample_gemms, {"bf16", share, context.architecture.hidden});
  if (tp > 1) add(operators.sample_collectives, {"all_gather", product(share, tp) * bytes_16_bit});
  // Greedy sampling: one kernel turns the 16-bit logits into fp32 (reads 2 B, writes 4 B), one takes the
  // maximum (reads 4 B). Temperature, top-k and top-p would add passes.
  const auto vocabulary = static_cast<double>(context.architecture.vocabulary);
  add(operators.sample_elementwise, {"sampling", vocabulary * (bytes_16_bit + bytes_fp32)});
  add(operators.sample_elementwise, {"sampling", vocabulary * bytes_fp32});
}

}  // namespace

StageOperators stage_operators(const Architecture& architecture, const WeightFormat& weights,
                               const KvFormat& kv, const StageShape& stage) {
  StageOperators operators;
  const Context context{architecture, weights, kv, stage};
  if (stage.first) add_embedding(operators, context);
  for (int i = stage.layers.begin; i < stage.layers.end; ++i) {
    const LayerKind& kind = architecture.layer(i);
    add_gemms(operators, context, kind);
    std::visit([&](const auto& mixer) { add_mixer(operators, context, mixer); }, kind.mixer);
    std::visit([&](const auto& forward) { add_feed_forward(operators, context, forward); },
               kind.feed_forward);
  }
  if (stage.last)
    add_head(operators, context);
  else
    operators.hop_bytes_per_token = 2 * static_cast<double>(architecture.hidden) * bytes_16_bit;
  return operators;
}

double flops_per_token(const StageOperators& operators) {
  double weights = 0;
  for (const auto& [shape, count] : operators.gemms)
    weights += product(shape.n, shape.k) * static_cast<double>(count);
  for (const auto& [shape, count] : operators.moes)
    weights += shape.expert_weights() * static_cast<double>(shape.topk) /
               static_cast<double>(shape.expert_parallel) * static_cast<double>(count);
  return 2 * weights;
}

}  // namespace sextant
