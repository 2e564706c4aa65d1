#include "models/llm/memory.hpp"

#include <algorithm>

#include "models/llm/layer_parts.hpp"

namespace sextant {
namespace {

/// Embedding, head, norms, biases and activations stay in 16 bit, whatever the linear layers are stored in.
constexpr double bytes_16_bit = 2;
constexpr double bytes_fp32 = 4;

double product(std::int64_t a, std::int64_t b) {
  return static_cast<double>(a) * static_cast<double>(b);
}

LayerCut cut_of(const StageShape& stage) {
  return {stage.tensor_parallel, stage.expert_parallel};
}

/// Values per token alive at the widest moment of a part, beside hidden state and residual.
double widest_values(const std::monostate&, std::int64_t, LayerCut, std::int64_t) {
  return 0;
}

/// q, k and v are alive until attention has written its output.
double widest_values(const GroupedQueryAttention& attention, std::int64_t, LayerCut cut, std::int64_t) {
  const GroupedQueryAttention local = local_attention(attention, cut.tensor_parallel);
  return product(2 * local.heads + 2 * local.kv_heads, local.head_dim);
}

/// Queries, expanded keys and values of the pass, and the output, beside the latent vectors.
double widest_values(const LatentAttention& attention, std::int64_t, LayerCut cut, std::int64_t) {
  const LatentAttention local = local_latent_attention(attention, cut.tensor_parallel);
  const std::int64_t key = attention.nope_dim + attention.rope_dim;
  return product(local.heads, 2 * key + 2 * attention.value_dim) +
         static_cast<double>(attention.query_rank + attention.kv_rank + attention.rope_dim);
}

/// z, x, B, C and dt, then x, B and C again behind the convolution, and the output.
double widest_values(const Mamba2& mamba, std::int64_t, LayerCut cut, std::int64_t) {
  const Mamba2 local = local_mamba(mamba, cut.tensor_parallel);
  return static_cast<double>(2 * local.inner() + 2 * local.conv_channels() + local.heads);
}

double widest_values(const SquareMatrix&, std::int64_t hidden, LayerCut, std::int64_t) {
  return static_cast<double>(hidden);
}

double widest_values(const PlainMlp& mlp, std::int64_t, LayerCut cut, std::int64_t) {
  return 2 * static_cast<double>(local_mlp(mlp, cut.tensor_parallel).intermediate);
}

/// gate and up (one GEMM's output) are alive until their product is written.
double widest_values(const GatedMlp& mlp, std::int64_t, LayerCut cut, std::int64_t) {
  return 3 * static_cast<double>(local_mlp(mlp, cut.tensor_parallel).intermediate);
}

/// vLLM's fused experts (vllm/model_executor/layers/fused_moe): one workspace holds gate and up of each of a
/// token's experts and later their outputs, one the products; the sum and the shared expert's output are
/// alive beside them. Where ranks share experts, all their tokens are gathered and their sums too, and the
/// workspaces are of at most expert_chunk tokens (vllm/envs.py, VLLM_FUSED_MOE_CHUNK_SIZE).
double widest_values(const MixtureOfExperts& moe, std::int64_t hidden, LayerCut cut,
                     std::int64_t batched_tokens) {
  constexpr double expert_chunk = 16384;
  const MixtureOfExperts local = local_experts(moe, cut);
  const std::int64_t width = moe.latent > 0 ? moe.latent : hidden;
  const std::int64_t first = (moe.gated ? 2 : 1) * local.intermediate;
  const auto each = static_cast<double>(std::max(first, width) + local.intermediate);
  const auto ranks = static_cast<double>(cut.sharing_ranks());
  const double in_workspace =
      std::max(1.0, std::min(ranks, expert_chunk / static_cast<double>(batched_tokens)));
  const double gathered = cut.shares_experts() ? (2 * ranks - 1) * static_cast<double>(width) : 0;
  const double routed = static_cast<double>(moe.experts_per_token) * each * in_workspace +
                        static_cast<double>(width) + static_cast<double>(moe.latent) + gathered;
  const double shared = moe.shared_intermediate > 0 ? static_cast<double>(hidden) : 0;
  return std::max(routed + shared, 3 * static_cast<double>(local.shared_intermediate));
}

double kv_values(const std::monostate&, std::int64_t) {
  return 0;
}

double kv_values(const GroupedQueryAttention& attention, std::int64_t tp) {
  return 2 * product(local_attention(attention, tp).kv_heads, attention.head_dim);
}

/// Every GPU of the group caches the whole latent vector.
double kv_values(const LatentAttention& attention, std::int64_t) {
  return static_cast<double>(attention.kv_rank + attention.rope_dim);
}

double kv_values(const Mamba2&, std::int64_t) {
  return 0;
}

double kv_values(const SquareMatrix&, std::int64_t) {
  return 0;
}

double state_bytes(const TokenMixer& mixer, std::int64_t tp) {
  const auto* mamba = std::get_if<Mamba2>(&mixer);
  if (!mamba) return 0;
  const Mamba2 local = local_mamba(*mamba, tp);
  return product(local.inner(), local.state) * local.state_bytes +
         product(local.conv_channels(), local.conv_kernel - 1) * bytes_16_bit;
}

}  // namespace

StageWeights stage_weights(const Architecture& architecture, const WeightFormat& format,
                           const StageShape& stage) {
  const WeightFormat sixteen_bit;
  StageWeights weights;
  const double vocabulary_bytes =
      product(local_vocabulary(architecture, stage.tensor_parallel), architecture.hidden) * bytes_16_bit;
  if (stage.first) weights.embedding = vocabulary_bytes;
  const bool shares_embedding = architecture.tied_embedding && stage.first;
  if (stage.last && !shares_embedding) weights.head = vocabulary_bytes;
  for (int i = stage.layers.begin; i < stage.layers.end; ++i) {
    const LayerParts parts = layer_parts(architecture.layer(i), architecture.hidden, cut_of(stage));
    for (const Matrix& matrix : parts.matrices) {
      const WeightFormat* stored = part_format(architecture, format, matrix.part);
      weights.layers += static_cast<double>(matrix.count) *
                        (stored ? *stored : sixteen_bit).matrix_bytes(matrix.outputs, matrix.inputs);
    }
    weights.norms += static_cast<double>(parts.norm_weights + parts.biases) * bytes_16_bit;
    weights.copies += static_cast<double>(parts.absorbed_copy) * bytes_16_bit;
  }
  if (stage.last) weights.norms += static_cast<double>(architecture.hidden) * bytes_16_bit;
  const Encoder& encoder = architecture.encoder;
  weights.encoder = (static_cast<double>(encoder.cut) / static_cast<double>(stage.tensor_parallel) +
                     static_cast<double>(encoder.whole)) *
                    bytes_16_bit;
  return weights;
}

double kv_bytes_per_token(const Architecture& architecture, const KvFormat& format, const StageShape& stage) {
  double values = 0;
  for (int i = stage.layers.begin; i < stage.layers.end; ++i)
    values += std::visit([&](const auto& mixer) { return kv_values(mixer, stage.tensor_parallel); },
                         architecture.layer(i).mixer);
  return values * format.bytes;
}

double SequenceCache::bytes(std::int64_t tokens) const {
  double total = state + bytes_per_token * static_cast<double>(tokens);
  for (const Window& window : windows)
    total += window.bytes_per_token * static_cast<double>(std::min(tokens, window.tokens));
  return total;
}

// Chunked attention keeps every token: vLLM turns its hybrid cache manager off for it
// (vllm/config/vllm.py, VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE).
SequenceCache sequence_cache(const Architecture& architecture, const KvFormat& format,
                             const StageShape& stage) {
  SequenceCache cache;
  for (int i = stage.layers.begin; i < stage.layers.end; ++i) {
    const TokenMixer& mixer = architecture.layer(i).mixer;
    const double bytes =
        std::visit([&](const auto& kind) { return kv_values(kind, stage.tensor_parallel); }, mixer) *
        format.bytes;
    cache.state += state_bytes(mixer, stage.tensor_parallel);
    const auto* attention = std::get_if<GroupedQueryAttention>(&mixer);
    if (!attention || !attention->window) {
      cache.bytes_per_token += bytes;
      continue;
    }
    const auto same = std::find_if(cache.windows.begin(), cache.windows.end(),
                                   [&](const auto& window) { return window.tokens == *attention->window; });
    if (same == cache.windows.end())
      cache.windows.push_back({*attention->window, bytes});
    else
      same->bytes_per_token += bytes;
  }
  return cache;
}

double position_table_bytes(const Architecture& architecture) {
  double width = 0;
  for (const LayerKind& kind : architecture.kinds) {
    if (const auto* attention = std::get_if<GroupedQueryAttention>(&kind.mixer);
        attention && attention->rotary)
      width = static_cast<double>(attention->head_dim);
    if (const auto* attention = std::get_if<LatentAttention>(&kind.mixer))
      width = static_cast<double>(attention->rope_dim);
  }
  return static_cast<double>(architecture.max_position) * width * bytes_16_bit;
}

// vLLM finds its peak by running one pass of max_num_batched_tokens (GPUModelRunner.profile_run) and then
// sampling for max_num_seqs rows. In the pass, hidden state and residual stay alive beside the widest part of
// a layer. The sampler works on fp32 logits of the full vocabulary (Sampler.forward:
// logits.to(torch.float32)), while the 16-bit logits it came from, this GPU's share and with tensor
// parallelism the gathered rows, are still alive. Both moments are added: the allocator keeps the pass's
// blocks, whose sizes rarely fit the logits.
double activation_peak_bytes(const Architecture& architecture, const StageShape& stage,
                             const BatchLimits& limits) {
  double widest = 0;
  for (int i = stage.layers.begin; i < stage.layers.end; ++i) {
    const auto values = [&](const auto& part) {
      return widest_values(part, architecture.hidden, cut_of(stage), limits.max_batched_tokens);
    };
    const LayerKind& kind = architecture.layer(i);
    widest = std::max({widest, std::visit(values, kind.mixer), std::visit(values, kind.feed_forward)});
  }
  const double hidden_and_residual = 2 * static_cast<double>(architecture.hidden);
  const double pass =
      static_cast<double>(limits.max_batched_tokens) * (hidden_and_residual + widest) * bytes_16_bit;
  if (!stage.last) return pass;
  const auto share = static_cast<double>(local_vocabulary(architecture, stage.tensor_parallel));
  const double gathered = stage.tensor_parallel > 1 ? share * static_cast<double>(stage.tensor_parallel) : 0;
  const double logits_per_row =
      (share + gathered) * bytes_16_bit + static_cast<double>(architecture.vocabulary) * bytes_fp32;
  return pass + static_cast<double>(limits.max_sequences) * logits_per_row;
}

std::int64_t MemoryBudget::kv_blocks() const {
  if (!fits()) return 0;
  constexpr std::int64_t most = std::int64_t{1} << 46;  // a stage that caches nothing holds any number
  if (block_bytes <= 0) return most;
  const auto blocks = static_cast<std::int64_t>(std::min(static_cast<double>(most), for_kv() / block_bytes));
  return pool.state_groups > 0 && blocks < sequences ? 0 : blocks;
}

MemoryBudget memory_budget(const Architecture& architecture, const WeightFormat& weights, const KvFormat& kv,
                           const StageShape& stage, const BatchLimits& limits, const EngineMemory& engine,
                           double device_bytes, double gpu_memory_utilization, int communicators,
                           const KvPool& pool) {
  MemoryBudget budget;
  budget.device = device_bytes;
  budget.usable = device_bytes * gpu_memory_utilization;
  budget.weights = stage_weights(architecture, weights, stage).total();
  budget.activations = activation_peak_bytes(architecture, stage, limits);
  budget.context = engine.context_bytes.value;
  budget.communication = engine.bytes_per_communicator.value * communicators;
  budget.engine = engine.workspace_bytes.value + position_table_bytes(architecture);
  budget.kv_bytes_per_token = kv_bytes_per_token(architecture, kv, stage);
  budget.sequence = sequence_cache(architecture, kv, stage);
  budget.sequences = limits.max_sequences;
  budget.kv_share = engine.kv_share;
  budget.pool = pool;
  budget.block_bytes = block_bytes(pool, architecture, kv, stage);
  return budget;
}

}  // namespace sextant
