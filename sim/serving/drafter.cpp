#include "sim/serving/drafter.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"

namespace sextant {
namespace {

constexpr double bytes_16_bit = 2;

std::int64_t heads_of(const LayerKind& kind) {
  if (const auto* grouped = std::get_if<GroupedQueryAttention>(&kind.mixer)) return grouped->heads;
  if (const auto* latent = std::get_if<LatentAttention>(&kind.mixer)) return latent->heads;
  return 0;
}

/// The model with its last attention layer alone.
Architecture one_layer(const Architecture& model) {
  Architecture head = model;
  head.encoder = {};
  const auto last = std::find_if(model.layers.rbegin(), model.layers.rend(), [&](int kind) {
    return heads_of(model.kinds[static_cast<std::size_t>(kind)]) > 0;
  });
  if (last == model.layers.rend())
    throw InputError(
        fmt::format("engine.speculative_config: found {}, which has no attention layer, expected method "
                    "draft_model or ngram",
                    model.name));
  head.layers = {*last};
  return head;
}

}  // namespace

std::int64_t Drafter::cut(std::int64_t tensor_parallel) const {
  const bool divides = std::all_of(architecture.kinds.begin(), architecture.kinds.end(),
                                   [&](const auto& kind) { return heads_of(kind) % tensor_parallel == 0; });
  return divides ? tensor_parallel : 1;
}

StageShape Drafter::shape(std::int64_t tensor_parallel) const {
  return {{0, architecture.layer_count()}, cut(tensor_parallel), true, true};
}

StageOperators Drafter::operators(std::int64_t tensor_parallel) const {
  StageOperators result = stage_operators(architecture, weights, kv, shape(tensor_parallel));
  // The hidden state and the token's embedding become one vector (fc of vllm's llama_eagle.py, eh_proj of
  // deepseek_mtp.py), whole on each GPU.
  if (shares_embedding) result.gemms.push_back({{"bf16", architecture.hidden, 2 * architecture.hidden}, 1});
  return result;
}

void Drafter::take_memory(MemoryBudget& budget, std::int64_t tensor_parallel) const {
  const StageShape stage = shape(tensor_parallel);
  const StageWeights own = stage_weights(architecture, weights, stage);
  const auto hidden = static_cast<double>(architecture.hidden);
  budget.weights += shares_embedding
                        ? own.layers + own.norms + own.copies + 2 * hidden * hidden * bytes_16_bit
                        : own.total();
  const double kv_bytes = kv_bytes_per_token(architecture, kv, stage);
  budget.kv_bytes_per_token += kv_bytes;
  budget.sequence.bytes_per_token += kv_bytes;
  budget.block_bytes += kv_bytes * static_cast<double>(budget.pool.block_tokens);
}

std::optional<Drafter> make_drafter(const Speculation& speculation, const Architecture& model,
                                    const WeightFormat& weights, const KvFormat& kv) {
  Drafter drafter;
  drafter.kv = kv;
  drafter.tokens = speculation.num_speculative_tokens;
  switch (speculation.method) {
    case Speculation::Method::ngram:
      return std::nullopt;
    case Speculation::Method::draft_model: {
      drafter.architecture = find_model(speculation.model).architecture;
      const auto& published = drafter.architecture.quantisation;
      drafter.weights = weight_format(published ? published->format : "bf16");
      return drafter;
    }
    case Speculation::Method::eagle:
      drafter.weights = weight_format("bf16");
      break;
    case Speculation::Method::mtp:
      drafter.weights = weights;
      break;
  }
  drafter.architecture = one_layer(model);
  drafter.shares_embedding = true;
  return drafter;
}

}  // namespace sextant
