#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "calibrate/measure/common/step_case.hpp"
#include "calibrate/measure/device/blas.hpp"
#include "calibrate/measure/device/buffers.hpp"
#include "calibrate/measure/device/decode_attention.hpp"
#include "calibrate/measure/device/mixture.hpp"
#include "calibrate/measure/device/nccl_library.hpp"
#include "calibrate/measure/device/prefill_attention.hpp"
#include "models/llm/layer_parts.hpp"

namespace sextant::measure {

/// What one GPU holds of a model and how it is cut: sizes only.
struct StagePart {
  StagePart(const Architecture&, const StepLayout&, int stage, int rank = 0);
  std::int64_t hidden = 0, intermediate = 0, heads = 0, kv_heads = 0, head_dim = 0,
               vocabulary = 0;             ///< local
  int experts = 0, experts_per_token = 0;  ///< 0: a dense model; otherwise `intermediate` is an expert's
  int first_expert = 0, own_experts = 0;   ///< those this GPU holds, all or some, whole or a part of each
  int layers = 0, tp = 1;
  bool first = false, last = false, qk_norm = false, fp8_weights = false, fp8_kv = false;
  std::int64_t qkv_width() const { return (heads + 2 * kv_heads) * head_dim; }
  void take_experts(const MixtureOfExperts&, const std::string& model, const StepLayout&, int rank);
  std::size_t layer_bytes() const;                  ///< of its matrices
  std::size_t vocabulary_bytes() const;             ///< of embedding and head
  std::size_t kv_bytes(std::int64_t tokens) const;  ///< of one layer's keys and values, whole pages
};

/// Parts of a stage's work, to time each without the others.
enum class StageFamily { all, gemm, attention, experts, elementwise, collective };

/// One GPU's share of a model with random weights, on the current device: puts a stage's kernels into a
/// stream. Weights or KV that do not fit are shared by several layers, over several times the L2.
class StageModel {
 public:
  StageModel(const StagePart&, const Blas&, const Cudnn*, const NcclLibrary*, ncclComm_t tensor_group,
             cudaStream_t);

  /// Makes room for a case. Throws Error "skipped: ..." where it does not fit.
  void prepare(const StepCase&);
  /// One pass over the activations of slot 0 or 1.
  void enqueue(int slot);
  /// From now on enqueue only this family's kernels, in their order and with their operands.
  void restrict_to(StageFamily family) { only_ = family; }
  /// Hidden state (what the stage before, or this one, leaves to the next) and residual.
  void* hidden(int slot) const { return hidden_[slot]; }
  void* residual(int slot) const { return residual_[slot]; }
  std::int32_t* ids() const { return ids_; }
  std::int64_t state_values() const { return case_.tokens() * part_.hidden; }
  const StagePart& part() const { return part_; }
  /// What is not as in a real deployment: shared weights or KV; empty if nothing.
  std::string note() const;
  /// Whether what it computed is finite; for the check after a run.
  bool output_is_finite(int slot) const;

 private:
  struct LayerWeights {
    const std::byte *qkv, *output, *gate_up, *down, *router;  ///< of experts, gate_up is the first one's
  };
  LayerWeights layer_weights(int layer) const;
  void take_activations(Arena&);
  void take_cache(Arena&);
  void take_experts(Arena&);
  void feed_forward(int layer, int slot);
  void multiply(const void* input, const void* weight, void* output, std::int64_t m, std::int64_t n,
                std::int64_t k, bool fp8);
  void layer(int layer, int slot);
  void attention(int layer);
  void head(int slot);
  void all_reduce(void* data);
  void norm(const void* input, int slot, bool fp8);
  bool runs(StageFamily family) const { return only_ == StageFamily::all || only_ == family; }

  StageFamily only_ = StageFamily::all;
  StagePart part_;
  const Blas& blas_;
  const Cudnn* cudnn_;
  const NcclLibrary* nccl_;
  ncclComm_t tensor_group_;
  cudaStream_t stream_;
  int multiprocessors_ = 0;
  DeviceBuffer weights_, vocabulary_, pool_, workspace_, one_;
  int weight_layers_ = 0, cache_layers_ = 0;

  StepCase case_;
  void *hidden_[2] = {}, *residual_[2] = {};
  void *normed_ = nullptr, *qkv_ = nullptr, *query_ = nullptr, *attended_ = nullptr, *narrow_ = nullptr,
       *gate_up_ = nullptr, *activated_ = nullptr, *last_ = nullptr, *logits_ = nullptr,
       *all_logits_ = nullptr, *attention_workspace_ = nullptr, *norm_weight_ = nullptr;
  float* wide_logits_ = nullptr;
  std::int32_t *ids_ = nullptr, *all_ids_ = nullptr, *page_table_ = nullptr, *lengths_ = nullptr;
  std::byte* cache_ = nullptr;
  std::size_t cache_layer_bytes_ = 0;
  DecodeShape decode_;
  int splits_ = 1;
  std::unique_ptr<PrefillAttention> prefill_;
  std::unique_ptr<GroupedBlas> grouped_;
  std::vector<Mixture> mixtures_;  ///< of each layer, with a routing of its own
  std::vector<Mixture::Buffers> mixture_buffers_;
  std::vector<void*> mixture_lists_;
  void* router_logits_ = nullptr;
  std::int32_t* chosen_ = nullptr;
  float* shares_ = nullptr;
  std::map<std::tuple<bool, std::int64_t, std::int64_t, std::int64_t>, std::unique_ptr<Gemm>> gemms_;
};

}  // namespace sextant::measure
