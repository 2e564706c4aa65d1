#include "calibrate/measure/device/stage_model.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "calibrate/measure/common/size_text.hpp"
#include "calibrate/measure/device/check.hpp"
#include "calibrate/measure/device/elementwise.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::size_t bf16_bytes = 2;
constexpr double weights_share = 0.8;                    ///< of free memory that weights may take
constexpr std::size_t kept_free = std::size_t{3} << 30;  ///< for NCCL, CUDA graphs and cuDNN
constexpr float weight_range = 0.03F;

std::size_t values(std::int64_t a, std::int64_t b) {
  return static_cast<std::size_t>(a * b);
}

}  // namespace

StageModel::StageModel(const StagePart& part, const Blas& blas, const Cudnn* cudnn, const NcclLibrary* nccl,
                       ncclComm_t tensor_group, cudaStream_t stream)
    : part_(part), blas_(blas), cudnn_(cudnn), nccl_(nccl), tensor_group_(tensor_group), stream_(stream) {
  int device = 0;
  SEXTANT_CUDA(cudaGetDevice(&device));
  SEXTANT_CUDA(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device));
  vocabulary_ = DeviceBuffer(std::max<std::size_t>(part.vocabulary_bytes(), 1));
  workspace_ = DeviceBuffer(Gemm::workspace_bytes);
  one_ = DeviceBuffer(sizeof(float));
  const float one = 1;
  SEXTANT_CUDA(cudaMemcpyAsync(one_.at(), &one, sizeof one, cudaMemcpyHostToDevice, stream_));

  std::size_t free = 0, total = 0;
  SEXTANT_CUDA(cudaMemGetInfo(&free, &total));
  free -= std::min(free, kept_free);
  const auto room = static_cast<std::size_t>(static_cast<double>(free) * weights_share);
  weight_layers_ = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(part.layers), room / part.layer_bytes()));
  if (weight_layers_ < 1)
    throw Error(ExitCode::failure, fmt::format("skipped: one layer of {} does not fit",
                                               bytes_text(static_cast<double>(part.layer_bytes()))));
  weights_ = DeviceBuffer(part.layer_bytes() * static_cast<std::size_t>(weight_layers_));
  pool_ = DeviceBuffer(free - std::min(free, weights_.bytes()));
  const Element element = part.fp8_weights ? Element::fp8 : Element::bf16;
  fill_random(weights_.at(), weights_.bytes() / (part.fp8_weights ? 1 : bf16_bytes), element,
              part.fp8_weights ? 1 : weight_range, 11, stream_);
  fill_random(vocabulary_.at(), vocabulary_.bytes() / bf16_bytes, Element::bf16, weight_range, 12, stream_);
  SEXTANT_CUDA(cudaStreamSynchronize(stream_));
}

StageModel::LayerWeights StageModel::layer_weights(int layer) const {
  const std::size_t element = part_.fp8_weights ? 1 : bf16_bytes;
  const std::byte* at =
      weights_.at<std::byte>(part_.layer_bytes() * static_cast<std::size_t>(layer % weight_layers_));
  LayerWeights weights{};
  weights.qkv = at;
  weights.output = weights.qkv + values(part_.qkv_width(), part_.hidden) * element;
  weights.gate_up = weights.output + values(part_.hidden, part_.heads * part_.head_dim) * element;
  weights.down = weights.gate_up + values(2 * part_.intermediate, part_.hidden) * element;
  weights.router =
      weights.gate_up + values(part_.own_experts, 3 * part_.intermediate * part_.hidden) * element;
  return weights;
}

void StageModel::prepare(const StepCase& item) {
  case_ = item;
  gemms_.clear();
  prefill_.reset();
  if (item.prefill && part_.fp8_kv) throw Error(ExitCode::failure, "skipped: prefill over an fp8 cache");
  if (item.prefill && cudnn_ == nullptr) throw Error(ExitCode::failure, "skipped: no cuDNN");
  Arena arena(pool_);
  take_activations(arena);
  if (item.prefill) {
    PrefillShape shape{part_.heads, part_.kv_heads, part_.head_dim, item.batch, item.context, 0};
    prefill_ = std::make_unique<PrefillAttention>(*cudnn_, shape);
    attention_workspace_ = arena.take(std::max<std::size_t>(prefill_->workspace_bytes(), 1));
  } else {
    decode_ = {part_.heads, part_.kv_heads,   part_.head_dim,
               item.batch,  item.context + 1, part_.fp8_kv ? Element::fp8 : Element::bf16};
    splits_ = decode_splits(decode_, multiprocessors_);
    attention_workspace_ = arena.take(std::max<std::size_t>(decode_workspace_bytes(decode_, splits_), 1));
    prepare_decode_workspace(decode_, splits_, attention_workspace_, stream_);
  }
  take_experts(arena);
  take_cache(arena);
  SEXTANT_CUDA(cudaStreamSynchronize(stream_));
}

void StageModel::take_activations(Arena& arena) {
  const std::int64_t tokens = case_.tokens(), sequences = case_.batch;
  const auto take = [&](std::int64_t rows, std::int64_t width, std::size_t bytes = bf16_bytes) {
    return arena.take(values(rows, width) * bytes);
  };
  for (int slot = 0; slot < 2; ++slot) {
    hidden_[slot] = take(tokens, part_.hidden);
    residual_[slot] = take(tokens, part_.hidden);
    for (void* state : {hidden_[slot], residual_[slot]})
      fill_random(state, values(tokens, part_.hidden), Element::bf16, 1, 13, stream_);
  }
  normed_ = take(tokens, part_.hidden);
  qkv_ = take(tokens, part_.qkv_width());
  query_ = take(tokens, part_.heads * part_.head_dim);
  attended_ = take(tokens, part_.heads * part_.head_dim);
  narrow_ = take(tokens, part_.heads * part_.head_dim, 1);
  const std::int64_t rows = tokens * std::max(part_.experts_per_token, 1);
  gate_up_ = take(rows, 2 * part_.intermediate);
  activated_ = take(rows, part_.intermediate);
  norm_weight_ = take(1, part_.hidden);
  fill_random(norm_weight_, static_cast<std::size_t>(part_.hidden), Element::bf16, 1, 14, stream_);
  ids_ = static_cast<std::int32_t*>(take(tokens, 1, sizeof(std::int32_t)));
  scatter_pages(ids_, tokens, 1, std::int64_t{1} << 16, stream_);
  if (!part_.last) return;
  last_ = take(sequences, part_.hidden);
  logits_ = take(sequences, part_.vocabulary);
  all_logits_ = part_.tp > 1 ? take(sequences * part_.tp, part_.vocabulary) : logits_;
  wide_logits_ = static_cast<float*>(take(sequences * part_.tp, part_.vocabulary, sizeof(float)));
  all_ids_ = static_cast<std::int32_t*>(take(sequences * part_.tp, 1, sizeof(std::int32_t)));
}

void StageModel::take_cache(Arena& arena) {
  const std::int64_t tokens = case_.prefill ? case_.context : case_.context + 1;
  const std::int64_t pages = case_.batch * pages_of(tokens);
  if (!case_.prefill) {
    page_table_ = static_cast<std::int32_t*>(arena.take(values(pages, 1) * sizeof(std::int32_t)));
    lengths_ = static_cast<std::int32_t*>(arena.take(values(case_.batch, 1) * sizeof(std::int32_t)));
    scatter_pages(page_table_, pages, 0, pages, stream_);
    set_lengths(lengths_, case_.batch, tokens, stream_);
  }
  cache_layer_bytes_ = part_.kv_bytes(pages * page_tokens);
  cache_layers_ = static_cast<int>(
      std::min<std::size_t>(static_cast<std::size_t>(part_.layers), arena.left() / cache_layer_bytes_));
  if (cache_layers_ < 1)
    throw Error(ExitCode::failure, fmt::format("skipped: one layer's cache of {} does not fit",
                                               bytes_text(static_cast<double>(cache_layer_bytes_))));
  const std::size_t bytes = cache_layer_bytes_ * static_cast<std::size_t>(cache_layers_);
  cache_ = static_cast<std::byte*>(arena.take(bytes));
  fill_random(cache_, bytes / (part_.fp8_kv ? 1 : bf16_bytes), part_.fp8_kv ? Element::fp8 : Element::bf16, 1,
              15, stream_);
}

void StageModel::take_experts(Arena& arena) {
  mixtures_.clear();
  mixture_buffers_.clear();
  mixture_lists_.clear();
  if (part_.experts == 0) return;
  if (!grouped_) grouped_ = std::make_unique<GroupedBlas>(workspace_.at(), Gemm::workspace_bytes);
  MoeRow shape;
  shape.tokens = case_.tokens();
  shape.hidden = part_.hidden;
  shape.intermediate = part_.intermediate;  // of this GPU
  shape.experts = part_.experts;
  shape.topk = part_.experts_per_token;
  const auto rows = static_cast<std::size_t>(shape.tokens * shape.topk);
  router_logits_ = arena.take(values(shape.tokens, part_.experts) * bf16_bytes);
  chosen_ = static_cast<std::int32_t*>(arena.take(rows * sizeof(std::int32_t)));
  shares_ = static_cast<float*>(arena.take(rows * sizeof(float)));
  Mixture::Buffers buffers;
  buffers.input = static_cast<const std::byte*>(normed_);
  buffers.shares = shares_;
  buffers.gathered =
      static_cast<std::byte*>(arena.take(rows * static_cast<std::size_t>(part_.hidden) * bf16_bytes));
  buffers.gate_up = static_cast<std::byte*>(gate_up_);
  buffers.activated = static_cast<std::byte*>(activated_);
  buffers.expert_output =
      static_cast<std::byte*>(arena.take(rows * static_cast<std::size_t>(part_.hidden) * bf16_bytes));
  for (int layer = 0; layer < part_.layers; ++layer) {
    // All GPUs of a group draw the same and compute what goes to their experts.
    const Routing all = uniform_routing(shape.tokens, part_.experts, part_.experts_per_token,
                                        static_cast<std::uint64_t>(layer));
    mixtures_.emplace_back(shape, of_experts(all, part_.first_expert, part_.own_experts));
    buffers.experts = layer_weights(layer).gate_up;
    mixture_buffers_.push_back(buffers);
    mixture_lists_.push_back(arena.take(mixtures_.back().list_bytes()));
    mixtures_.back().write_lists(buffers, mixture_lists_.back(), stream_);
  }
}

void StageModel::feed_forward(int layer, int slot) {
  const bool fp8 = part_.fp8_weights, small = runs(StageFamily::elementwise);
  const std::int64_t tokens = case_.tokens();
  const LayerWeights weights = layer_weights(layer);
  if (part_.experts == 0) {
    multiply(normed_, weights.gate_up, gate_up_, tokens, 2 * part_.intermediate, part_.hidden, fp8);
    if (small) silu_multiply(gate_up_, activated_, fp8, tokens, part_.intermediate, stream_);
    multiply(activated_, weights.down, hidden_[slot], tokens, part_.hidden, part_.intermediate, fp8);
    return;
  }
  // The router computes; the tokens follow the routing that was drawn, for cuBLAS wants it from the host.
  multiply(normed_, weights.router, router_logits_, tokens, part_.experts, part_.hidden, false);
  if (small)
    choose_experts(router_logits_, chosen_, shares_, tokens, part_.experts, part_.experts_per_token, stream_);
  if (!runs(StageFamily::experts)) return;
  const auto i = static_cast<std::size_t>(layer);
  Mixture::Buffers buffers = mixture_buffers_[i];
  buffers.output = static_cast<std::byte*>(hidden_[slot]);
  mixtures_[i].run(*grouped_, buffers, mixture_lists_[i], stream_);
}

void StageModel::multiply(const void* input, const void* weight, void* output, std::int64_t m, std::int64_t n,
                          std::int64_t k, bool fp8) {
  if (!runs(StageFamily::gemm)) return;
  std::unique_ptr<Gemm>& gemm = gemms_[{fp8, m, n, k}];
  if (!gemm)
    gemm = std::make_unique<Gemm>(blas_, fp8 ? GemmType::fp8 : GemmType::bf16, m, n, k, workspace_.at());
  gemm->run({input, weight, output, one_.at(), one_.at()}, stream_);
}

void StageModel::all_reduce(void* data) {
  if (part_.tp == 1 || !runs(StageFamily::collective)) return;
  nccl_->check(nccl_->all_reduce(data, data, static_cast<std::size_t>(state_values()), ncclBfloat16, ncclSum,
                                 tensor_group_, stream_),
               "ncclAllReduce");
}

void StageModel::norm(const void* input, int slot, bool fp8) {
  if (!runs(StageFamily::elementwise)) return;
  residual_rmsnorm({input, residual_[slot], norm_weight_, normed_, fp8, case_.tokens(), part_.hidden},
                   stream_);
}

void StageModel::attention(int layer) {
  std::byte* keys = cache_ + cache_layer_bytes_ * static_cast<std::size_t>(layer % cache_layers_);
  std::byte* cached_values = keys + cache_layer_bytes_ / 2;
  RopeArguments rope;
  rope.qkv = qkv_;
  rope.query = query_;
  rope.keys = keys;
  rope.values = cached_values;
  rope.page_table = case_.prefill ? nullptr : page_table_;
  rope.tokens = case_.tokens();
  rope.tokens_per_sequence = case_.prefill ? case_.context : 1;
  rope.first_position = case_.prefill ? 0 : case_.context;
  rope.cache_tokens = case_.prefill ? case_.context : case_.context + 1;
  rope.heads = part_.heads;
  rope.kv_heads = part_.kv_heads;
  rope.head_dim = part_.head_dim;
  rope.fp8_cache = part_.fp8_kv;
  const bool small = runs(StageFamily::elementwise);
  if (part_.qk_norm && small)
    normalize_heads(qkv_, norm_weight_, case_.tokens(), part_.heads, part_.kv_heads, part_.head_dim, stream_);
  if (small) rope_and_cache(rope, stream_);
  if (!runs(StageFamily::attention)) return;
  if (case_.prefill)
    prefill_->run(*cudnn_, {query_, keys, cached_values, attended_}, attention_workspace_, stream_);
  else
    decode_attention(decode_,
                     {query_, keys, cached_values, page_table_, lengths_, attended_, attention_workspace_},
                     splits_, stream_);
}

void StageModel::layer(int layer, int slot) {
  const bool fp8 = part_.fp8_weights, small = runs(StageFamily::elementwise);
  const std::int64_t tokens = case_.tokens(), attention_width = part_.heads * part_.head_dim;
  const LayerWeights weights = layer_weights(layer);
  // The first layer of all has no earlier output to add: the embedding is the residual.
  norm(part_.first && layer == 0 ? nullptr : hidden_[slot], slot, fp8);
  multiply(normed_, weights.qkv, qkv_, tokens, part_.qkv_width(), part_.hidden, fp8);
  attention(layer);
  if (fp8 && small) quantize_fp8(attended_, narrow_, tokens * attention_width, stream_);
  multiply(fp8 ? narrow_ : attended_, weights.output, hidden_[slot], tokens, part_.hidden, attention_width,
           fp8);
  all_reduce(hidden_[slot]);
  norm(hidden_[slot], slot, fp8);
  feed_forward(layer, slot);
  all_reduce(hidden_[slot]);
}

void StageModel::head(int slot) {
  norm(hidden_[slot], slot, false);
  const bool small = runs(StageFamily::elementwise);
  const void* rows = normed_;
  if (case_.prefill) {
    if (small) gather_last(normed_, last_, case_.batch, case_.context, part_.hidden, stream_);
    rows = last_;
  }
  const std::byte* weight = vocabulary_.at<std::byte>(part_.first ? vocabulary_.bytes() / 2 : 0);
  multiply(rows, weight, logits_, case_.batch, part_.vocabulary, part_.hidden, false);
  if (part_.tp > 1 && runs(StageFamily::collective))
    nccl_->check(nccl_->all_gather(logits_, all_logits_, values(case_.batch, part_.vocabulary), ncclBfloat16,
                                   tensor_group_, stream_),
                 "ncclAllGather");
  if (!small) return;
  // Every GPU of the group samples all logits. They lie group member by member: each part of a row gets its
  // maximum, and the first member's stand for the row's; comparing tp numbers a row would not be seen in the
  // time.
  sample_greedy(all_logits_, wide_logits_, all_ids_, case_.batch * part_.tp, part_.vocabulary, stream_);
  SEXTANT_CUDA(cudaMemcpyAsync(ids_, all_ids_, values(case_.batch, 1) * sizeof(std::int32_t),
                               cudaMemcpyDeviceToDevice, stream_));
}

void StageModel::enqueue(int slot) {
  if (part_.first) {
    if (runs(StageFamily::elementwise))
      embed(vocabulary_.at(), ids_, residual_[slot], case_.tokens(), part_.hidden, part_.vocabulary, stream_);
    all_reduce(residual_[slot]);
  }
  for (int i = 0; i < part_.layers; ++i) layer(i, slot);
  if (part_.last) head(slot);
}

std::string StageModel::note() const {
  std::string text;
  if (weight_layers_ < part_.layers)
    text += fmt::format("; weights of {} layers stand for {}", weight_layers_, part_.layers);
  if (cache_layers_ < part_.layers)
    text += fmt::format("; KV of {} layers stands for {}", cache_layers_, part_.layers);
  return text;
}

bool StageModel::output_is_finite(int slot) const {
  const std::size_t count = std::min<std::size_t>(static_cast<std::size_t>(state_values()), 1 << 16);
  std::vector<std::uint16_t> bits(count);
  SEXTANT_CUDA(cudaMemcpy(bits.data(), hidden_[slot], count * bf16_bytes, cudaMemcpyDeviceToHost));
  constexpr std::uint16_t exponent = 0x7f80;
  return std::none_of(bits.begin(), bits.end(),
                      [](std::uint16_t value) { return (value & exponent) == exponent; });
}

}  // namespace sextant::measure
