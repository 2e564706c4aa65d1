#include "models/llm/kv_pool.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "models/llm/memory.hpp"

namespace sextant {
namespace {

/// Tokens that attention kernels want a block to be a multiple of (kernel_block_alignment_size).
constexpr std::int64_t kernel_block_tokens = 16;
/// Where one kind has less than so many times the layers of the rarest, groups are as large as the largest
/// kind, to pad less (_get_kv_cache_groups_uniform_page_size).
constexpr double alike_counts = 1.5;

/// What one layer keeps of a sequence.
struct LayerCache {
  enum class Kind { nothing, full, window, state } kind = Kind::nothing;
  std::int64_t window = 0;
  double bytes = 0;  ///< of a token, or of the state
};

LayerCache layer_cache(const Architecture& architecture, const KvFormat& format, std::int64_t tp, int layer) {
  const SequenceCache cache = sequence_cache(architecture, format, {{layer, layer + 1}, tp, false, false});
  if (cache.state > 0) return {LayerCache::Kind::state, 0, cache.state};
  if (!cache.windows.empty())
    return {LayerCache::Kind::window, cache.windows.front().tokens, cache.windows.front().bytes_per_token};
  if (cache.bytes_per_token > 0) return {LayerCache::Kind::full, 0, cache.bytes_per_token};
  return {};
}

bool has_chunks(const Architecture& architecture) {
  return std::any_of(architecture.kinds.begin(), architecture.kinds.end(), [](const LayerKind& kind) {
    const auto* attention = std::get_if<GroupedQueryAttention>(&kind.mixer);
    return attention && attention->chunk;
  });
}

using LayersByKind = std::map<std::pair<LayerCache::Kind, std::int64_t>, std::vector<int>>;

std::int64_t ceiling(std::int64_t a, std::int64_t b) {
  return (a + b - 1) / b;
}

std::int64_t layers_of_a_group(const LayersByKind& kinds) {
  std::size_t least = kinds.begin()->second.size(), most = 0;
  for (const auto& [kind, layers] : kinds) {
    least = std::min(least, layers.size());
    most = std::max(most, layers.size());
  }
  const bool alike = static_cast<double>(most) < static_cast<double>(least) * alike_counts;
  return static_cast<std::int64_t>(alike ? most : least);
}

/// Divides the layers of each kind into groups: every n-th layer, so that stages get some of each.
void divide(KvPool& pool, const LayersByKind& kinds) {
  pool.full_groups = 0;
  const std::int64_t size = layers_of_a_group(kinds);
  int next = 0;
  for (const auto& [kind, layers] : kinds) {
    const std::int64_t groups = ceiling(static_cast<std::int64_t>(layers.size()), size);
    for (std::size_t i = 0; i < layers.size(); ++i)
      pool.group_of_layer[static_cast<std::size_t>(layers[i])] =
          next + static_cast<int>(static_cast<std::int64_t>(i) % groups);
    next += static_cast<int>(groups);
    if (kind.first == LayerCache::Kind::full) pool.full_groups = groups;
    if (kind.first == LayerCache::Kind::window) pool.windows.push_back({kind.second, groups});
    if (kind.first == LayerCache::Kind::state) pool.state_groups = groups;
  }
}

}  // namespace

std::int64_t KvPool::blocks_at_once() const {
  std::int64_t blocks = full_groups;
  for (const Window& window : windows) blocks += window.groups;
  return blocks;
}

std::int64_t KvPool::blocks_left(std::size_t window, std::int64_t computed) const {
  return std::max<std::int64_t>(0, computed - windows[window].tokens + 1) / block_tokens;
}

std::int64_t KvPool::most_blocks(std::int64_t tokens, std::int64_t pass_tokens) const {
  std::int64_t blocks = full_groups * token_blocks(tokens) + state_groups;
  for (const Window& window : windows)
    blocks +=
        window.groups * std::min(token_blocks(tokens), token_blocks(window.tokens - 1 + pass_tokens) + 1);
  return blocks;
}

double KvPool::token_slots(double tokens) const {
  // A state's page holds thousands of tokens, so that the last block's empty part counts.
  const auto block = static_cast<double>(block_tokens);
  if (state_groups > 0)
    return block *
           static_cast<double>(full_groups * token_blocks(static_cast<std::int64_t>(tokens)) + state_groups);
  double slots = static_cast<double>(full_groups) * tokens;
  for (const Window& window : windows)
    slots +=
        static_cast<double>(window.groups) * std::min(tokens, static_cast<double>(window.tokens - 1) + block);
  return slots;
}

KvPool kv_pool(const Architecture& architecture, const KvFormat& format, std::int64_t tensor_parallel,
               std::int64_t block_size, bool hybrid) {
  KvPool pool;
  pool.block_tokens = block_size;
  std::vector<LayerCache> layers;
  for (int i = 0; i < architecture.layer_count(); ++i)
    layers.push_back(layer_cache(architecture, format, tensor_parallel, i));
  double token_page = 0, state_page = 0;
  LayersByKind kinds;
  for (const LayerCache& layer : layers) {
    if (layer.kind == LayerCache::Kind::nothing) continue;
    double& page = layer.kind == LayerCache::Kind::state ? state_page : token_page;
    page = std::max(page, layer.bytes);
    kinds[{layer.kind, layer.window}];
  }
  // Without the hybrid manager windows become full, but where all layers slide alike
  // (is_kv_cache_spec_uniform) and where states leave vLLM no choice.
  const bool widen = (!hybrid || has_chunks(architecture)) && kinds.size() > 1 && state_page == 0;
  if (kinds.empty() || widen) return pool;
  for (std::size_t i = 0; i < layers.size(); ++i)
    if (layers[i].kind != LayerCache::Kind::nothing)
      kinds[{layers[i].kind, layers[i].window}].push_back(static_cast<int>(i));
  if (kinds.size() == 1) {
    const auto [kind, window] = kinds.begin()->first;
    if (kind == LayerCache::Kind::full) return pool;
    pool.full_groups = 0;
    if (kind == LayerCache::Kind::window) pool.windows = {{window, 1}};
    if (kind == LayerCache::Kind::state) {
      pool.state_groups = 1;
      pool.page_bytes = state_page;
      pool.group_of_layer.assign(layers.size(), -1);
      for (const int layer : kinds.begin()->second) pool.group_of_layer[static_cast<std::size_t>(layer)] = 0;
    }
    return pool;
  }
  if (state_page > 0)
    pool.block_tokens = std::max(
        block_size, kernel_block_tokens *
                        static_cast<std::int64_t>(
                            std::ceil(state_page / (static_cast<double>(kernel_block_tokens) * token_page))));
  pool.page_bytes = token_page * static_cast<double>(pool.block_tokens);
  pool.group_of_layer.assign(layers.size(), -1);
  divide(pool, kinds);
  return pool;
}

double block_bytes(const KvPool& pool, const Architecture& architecture, const KvFormat& format,
                   const StageShape& stage) {
  if (pool.group_of_layer.empty())
    return kv_bytes_per_token(architecture, format, stage) * static_cast<double>(pool.block_tokens);
  std::map<int, int> layers;
  int most = 0;
  for (int i = stage.layers.begin; i < stage.layers.end; ++i)
    if (const int group = pool.group_of_layer[static_cast<std::size_t>(i)]; group >= 0)
      most = std::max(most, ++layers[group]);
  return pool.page_bytes * most;
}

}  // namespace sextant
