#pragma once
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "models/profile/measurement.hpp"

namespace sextant::measure {

/// A weight matrix as one GPU of a tensor-parallel group holds it.
struct MatrixShape {
  std::int64_t outputs = 0;
  std::int64_t inputs = 0;
  auto operator<=>(const MatrixShape&) const = default;
};
/// Those of every dense model of the catalogue at tensor-parallel 1, 2, 4 and 8 (`few`: 1 alone), each once;
/// matrices that engines fuse are one. `head`: with the heads over the vocabulary.
std::vector<MatrixShape> catalogue_matrices(bool head, bool few);

/// The heads of an attention layer on one GPU.
struct HeadShape {
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_dim = 0;
  auto operator<=>(const HeadShape&) const = default;
};
/// Those of every model of the catalogue at tensor-parallel 1, 2, 4 and 8 and, for head size 64, of a common
/// shape that may not be in it (64 heads, 8 KV heads). `few`: at 1 and 4 only.
std::vector<HeadShape> catalogue_heads(bool few);

/// A small kernel and the values of one token that it works on.
struct ElementwiseWidth {
  std::string op;  ///< rmsnorm, rope, activation, embedding, sampling
  std::int64_t width = 0;
  auto operator<=>(const ElementwiseWidth&) const = default;
};
std::vector<ElementwiseWidth> elementwise_widths();

/// Mixtures of experts: of common models, whether or not they are in the catalogue.
std::vector<MeasurementRow> moe_rows(bool few);

}  // namespace sextant::measure
