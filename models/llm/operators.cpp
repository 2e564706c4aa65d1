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
    const WeightFormat* stored = part_format(context.architecture, context.weights, first.part);
    GemmShape gemm{stored ? stored->gemm_type : "bf16", 0, first.inputs};
    for (; i < parts.matrices.size() && parts.matrices[i].fused == first.fused &&
           parts.matrices[i].part == first.part;
         ++i)
      gemm.n += parts.matrices[i].outputs;
    if (first.part != Part::experts && first.fused != latent_label) add(operators.gemms, gemm);
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

void add_mixer(StageOperators& operators, const Context& context, const LatentAttention& attention) {
  const LatentAttention local = local_latent_attention(attention, context.stage.tensor_parallel);
  const WeightFormat* stored = part_format(context.architecture, context.weights, Part::attention);
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  add(operators.latents,
      {local.heads, context.architecture.hidden, local.query_rank, local.kv_rank, local.nope_dim,
       local.rope_dim, local.value_dim, stored ? stored->gemm_type : "bf16", context.kv.name});
  add_all_reduce(operators, context);
}

// The scan's output is gated by z and normed in one kernel: reads both, writes one
// (vllm/model_executor/layers/mamba/mamba_mixer2.py, Mixer2RMSNormGated).
void add_mixer(StageOperators& operators, const Context& context, const Mamba2& mamba) {
  const Mamba2 local = local_mamba(mamba, context.stage.tensor_parallel);
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  add(operators.state_spaces, {local.heads, local.head_dim, local.state, local.groups, local.conv_kernel,
                               local.chunk, local.state_bytes});
  add(operators.elementwise, {"rmsnorm", 3 * static_cast<double>(local.inner()) * bytes_16_bit});
  add_all_reduce(operators, context);
}

void add_mixer(StageOperators& operators, const Context& context, const SquareMatrix&) {
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  add_all_reduce(operators, context);
}

/// Reads gate and up, writes their product.
ElementwiseShape gated_activation(std::int64_t width) {
  return {"activation", 3 * static_cast<double>(width) * bytes_16_bit};
}

/// Reads and writes.
ElementwiseShape plain_activation(std::int64_t width) {
  return {"activation", 2 * static_cast<double>(width) * bytes_16_bit};
}

void add_feed_forward(StageOperators&, const Context&, const std::monostate&) {}

void add_feed_forward(StageOperators& operators, const Context& context, const SquareMatrix& matrix) {
  add_mixer(operators, context, matrix);
}

void add_feed_forward(StageOperators& operators, const Context& context, const PlainMlp& mlp) {
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  add(operators.elementwise, plain_activation(local_mlp(mlp, context.stage.tensor_parallel).intermediate));
  add_all_reduce(operators, context);
}

void add_feed_forward(StageOperators& operators, const Context& context, const GatedMlp& mlp) {
  const GatedMlp local = local_mlp(mlp, context.stage.tensor_parallel);
  add(operators.elementwise, residual_norm(context.architecture.hidden));
  add(operators.elementwise, gated_activation(local.intermediate));
  add_all_reduce(operators, context);
}

/// Where data-parallel ranks share experts, every rank's tokens are gathered on all of the GPUs (each with
/// the number and the weight of its experts), which compute their own experts for all of them; a
/// reduce-scatter sums and gives each rank its own back. Within a rank each GPU brings and takes its share of
/// the tokens (vllm/distributed/device_communicators/all2all.py, AgRsAll2AllManager, and
/// use_sequence_parallel_moe). Sizes are of all ranks' tokens.
void add_expert_exchange(StageOperators& operators, const Context& context, const MixtureOfExperts& moe) {
  const std::int64_t ranks = cut_of(context.stage).expert_parallel;
  constexpr double bytes_choice = 8;
  const std::int64_t width = moe.latent > 0 ? moe.latent : context.architecture.hidden;
  const double bytes = static_cast<double>(width) * bytes_16_bit;
  add(operators.collectives,
      {"all_gather", bytes + static_cast<double>(moe.experts_per_token) * bytes_choice, ranks});
  add(operators.collectives, {"reduce_scatter", bytes, ranks});
}

/// Makes a layer's output whole on each GPU of a tensor-parallel group: shares of routed and shared experts
/// are summed at once; of shared ones each GPU has its share of the tokens.
void add_experts_sum(StageOperators& operators, const Context& context) {
  if (!cut_of(context.stage).shares_experts()) return add_all_reduce(operators, context);
  if (context.stage.tensor_parallel > 1)
    add(operators.collectives,
        {"all_gather", static_cast<double>(context.architecture.hidden) * bytes_16_bit});
}

void add_feed_forward(StageOperators& operators, const Context& context, const MixtureOfExperts& moe) {
  const LayerCut cut = cut_of(context.stage);
  const MixtureOfExperts local = local_experts(moe, cut);
  const std::int64_t hidden = context.architecture.hidden;
  const WeightFormat* stored = part_format(context.architecture, context.weights, Part::experts);
  add(operators.elementwise, residual_norm(hidden));
  // Softmax and top-k in one kernel: reads a 16-bit score for each expert, writes a 32-bit weight and a
  // 32-bit index for each one taken.
  constexpr double bytes_index = 4;
  add(operators.elementwise,
      {"routing", static_cast<double>(moe.experts) * bytes_16_bit +
                      static_cast<double>(moe.experts_per_token) * (bytes_fp32 + bytes_index)});
  add(operators.moes,
      {moe.latent > 0 ? moe.latent : hidden, moe.intermediate, moe.experts, moe.experts_per_token,
       expert_tensor_parallel(cut), cut.expert_parallel, stored ? stored->moe_type : "bf16", moe.gated});
  if (cut.shares_experts()) add_expert_exchange(operators, context, moe);
  if (moe.shared_intermediate > 0) {
    add(operators.elementwise, moe.gated ? gated_activation(local.shared_intermediate)
                                         : plain_activation(local.shared_intermediate));
    // Adds the routed experts' output to the shared one's: reads both, writes one.
    add(operators.elementwise, {"residual", 3 * static_cast<double>(hidden) * bytes_16_bit});
  }
  add_experts_sum(operators, context);
}

/// Of each part's output, read and written.
void add_norms_after(StageOperators& operators, const Context& context, const LayerKind& kind) {
  const ElementwiseShape norm{"rmsnorm", 2 * static_cast<double>(context.architecture.hidden) * bytes_16_bit};
  if (!std::holds_alternative<std::monostate>(kind.mixer)) add(operators.elementwise, norm);
  if (!std::holds_alternative<std::monostate>(kind.feed_forward)) add(operators.elementwise, norm);
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

double LatentAttentionShape::shared_weights() const {
  const double queries = product(heads, nope_dim + rope_dim);
  const double first = query_rank > 0
                           ? product(query_rank, hidden) + queries * static_cast<double>(query_rank)
                           : queries * static_cast<double>(hidden);
  return first + product(kv_rank + rope_dim, hidden) +
         product(heads, value_dim) * static_cast<double>(hidden);
}

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
    if (kind.norms_after) add_norms_after(operators, context, kind);
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
  for (const auto& [shape, count] : operators.latents)
    weights += (shape.shared_weights() + shape.latent_weights()) * static_cast<double>(count);
  return 2 * weights;
}

}  // namespace sextant
