#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

/// How the linear layers' weights are stored. Embedding, head, routers and norms stay in 16 bit.
/// Source of every field: models/llm/catalogue/weight-formats.json.
struct WeightFormat {
  std::string name = "bf16";  ///< "awq-int4"
  double bits = 16;           ///< per weight
  std::int64_t group = 0;     ///< weights that share one scale (and zero) along the input; 0: none
  std::int64_t group_rows =
      1;                  ///< outputs that share a group's scale: more than one where scales are per block
  double scale_bits = 0;  ///< per group
  double zero_bits = 0;   ///< per group
  double channel_scale_bits = 0;  ///< per output channel
  double tensor_scale_bits = 0;   ///< per matrix
  std::string gemm_type =
      "bf16";  ///< the profile's GEMM dtype that computes with it: bf16, fp8, int8, w4a16, nvfp4
  /// The profile's dtype of routed experts: bf16, fp8, int8, int4_wo, nvfp4, w4a16_mxfp4.
  std::string moe_type = "bf16";
  /// Engines pad each GPU's share of an expert to whole groups.
  bool pads_experts = false;
  std::string source;
  bool operator==(const WeightFormat&) const = default;

  /// Bytes of a quantised matrix of `rows` outputs and `columns` inputs, scales and zeros included.
  double matrix_bytes(std::int64_t rows, std::int64_t columns) const;
};

/// How the cached keys and values are stored.
struct KvFormat {
  std::string name;  ///< "bf16", "fp8"
  double bytes = 2;  ///< per element
};

/// Throws InputError naming the known formats and the nearest.
WeightFormat weight_format(const std::string& name);
KvFormat kv_format(const std::string& name);
std::vector<std::string> weight_format_names();

}  // namespace sextant
