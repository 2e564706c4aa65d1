#include "calibrate/measure/common/gpu_shapes.hpp"

#include <functional>
#include <set>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "models/llm/layer_parts.hpp"

namespace sextant::measure {
namespace {

/// Every layer kind of every model of the catalogue at a tensor-parallel degree it can be cut into.
void for_each_layer(
    const std::vector<std::int64_t>& degrees,
    const std::function<void(const Architecture&, const LayerKind&, std::int64_t tp)>& visit) {
  for (const std::string& name : model_names()) {
    const Architecture architecture = find_model(name).architecture;
    for (const LayerKind& kind : architecture.kinds)
      for (const std::int64_t tp : degrees) {
        try {
          visit(architecture, kind, tp);
        } catch (const InputError&) {
          // This degree does not divide the model's heads or width.
        }
      }
  }
}

const std::vector<std::int64_t>& degrees(bool few, const std::vector<std::int64_t>& fewer,
                                         const std::vector<std::int64_t>& all) {
  return few ? fewer : all;
}

}  // namespace

std::vector<MatrixShape> catalogue_matrices(bool head, bool few) {
  std::set<MatrixShape> shapes;
  for_each_layer(degrees(few, {1}, {1, 2, 4, 8}), [&](const Architecture& architecture, const LayerKind& kind,
                                                      std::int64_t tp) {
    const LayerParts parts = layer_parts(kind, architecture.hidden, {tp});
    for (std::size_t i = 0; i < parts.matrices.size();) {
      MatrixShape shape{0, parts.matrices[i].inputs};
      const std::string& fused = parts.matrices[i].fused;
      const bool experts = parts.matrices[i].part == Part::experts;  // measured as one operator
      for (; i < parts.matrices.size() && parts.matrices[i].fused == fused; ++i)
        shape.outputs += parts.matrices[i].outputs;
      if (!experts) shapes.insert(shape);
    }
    if (head) shapes.insert({local_vocabulary(architecture, tp), architecture.hidden});
  });
  return {shapes.begin(), shapes.end()};
}

std::vector<HeadShape> catalogue_heads(bool few) {
  std::set<HeadShape> shapes = {{64, 8, 64}};
  for_each_layer(degrees(few, {1, 4}, {1, 2, 4, 8}),
                 [&](const Architecture&, const LayerKind& kind, std::int64_t tp) {
                   const auto* attention = std::get_if<GroupedQueryAttention>(&kind.mixer);
                   if (attention == nullptr) return;
                   const GroupedQueryAttention local = local_attention(*attention, tp);
                   if (local.head_dim == 64 || local.head_dim == 128)
                     shapes.insert({local.heads, local.kv_heads, local.head_dim});
                 });
  return {shapes.begin(), shapes.end()};
}

std::vector<ElementwiseWidth> elementwise_widths() {
  std::set<ElementwiseWidth> widths;
  for_each_layer({1, 4}, [&](const Architecture& architecture, const LayerKind& kind, std::int64_t tp) {
    widths.insert({"rmsnorm", architecture.hidden});
    widths.insert({"embedding", architecture.hidden});
    if (const auto* mlp = std::get_if<GatedMlp>(&kind.feed_forward))
      widths.insert({"activation", local_mlp(*mlp, tp).intermediate});
    if (const auto* attention = std::get_if<GroupedQueryAttention>(&kind.mixer)) {
      const GroupedQueryAttention local = local_attention(*attention, tp);
      widths.insert({"rope", (local.heads + local.kv_heads) * local.head_dim});
    }
    widths.insert({"sampling", architecture.vocabulary / 8 * 8});
  });
  return {widths.begin(), widths.end()};
}

std::vector<MeasurementRow> moe_rows(bool few) {
  struct Mixture {
    std::int64_t hidden, intermediate, experts, topk;
  };
  // qwen3-30b-a3b, qwen3-235b-a22b and mixtral-8x7b: config.json of Qwen/Qwen3-30B-A3B, Qwen/Qwen3-235B-A22B,
  // mistralai/Mixtral-8x7B-v0.1.
  const std::vector<Mixture> mixtures = {{2048, 768, 128, 8}, {4096, 1536, 128, 8}, {4096, 14336, 8, 2}};
  const std::vector<std::int64_t> quick = {1, 16, 128, 1024},
                                  all = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096};
  std::vector<MeasurementRow> rows;
  for (const Mixture& mixture : mixtures)
    for (const std::int64_t tp : few ? std::vector<std::int64_t>{1} : std::vector<std::int64_t>{1, 2, 4})
      for (const std::int64_t tokens : few ? quick : all) {
        MoeRow row;
        row.dtype = "bf16";
        row.tokens = tokens;
        row.hidden = mixture.hidden;
        row.intermediate = mixture.intermediate;
        row.experts = mixture.experts;
        row.topk = mixture.topk;
        row.tp = tp;
        row.distribution = "balanced";
        rows.push_back(row);
      }
  return rows;
}

}  // namespace sextant::measure
