#pragma once
#include <cstdint>
#include <vector>

#include "models/profile/assumptions.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// The scan of a state-space mixer, relative to other operators of the same GPU.
struct StateSpaceRule {
  BoundedFigure tensor;  ///< share of the bf16 GEMM's arithmetic rate
  BoundedFigure memory;  ///< share of the element-wise operators' memory rate
  Figure prefill_kernels, decode_kernels;
};

/// How unevenly a router spreads tokens: loads of experts follow a power law.
struct RoutingRule {
  Figure exponent;
  Figure largest_share;  ///< of the tokens, that one expert may get
  BoundedFigure time;    ///< true over predicted, of the fullest GPU
};

/// A pass that runs while NCCL sends or receives on its GPU takes so many times as long.
struct SendRule {
  BoundedFigure prompts;  ///< bound by arithmetic
  BoundedFigure decodes;  ///< bound by memory
};

/// Rules for operators that a GPU's profile lacks, calibrate/profiles/operator-rules.json.
struct OperatorRules {
  std::int64_t head_size_from = 128;
  std::vector<std::int64_t> head_sizes;
  BoundedFigure head_size_time;           ///< true over predicted
  BoundedFigure fp8_block_time;           ///< relative to fp8's
  BoundedFigure fp8_channel_time;         ///< true over predicted
  BoundedFigure latent_projections_time;  ///< true over predicted
  StateSpaceRule state_space;
  RoutingRule routing;
  SendRule beside_nvlink_send, beside_other_send;
};

/// {"format": "sextant operator rules", "version": 1, …}; strict. Throws InputError.
OperatorRules read_operator_rules(const JsonValue&);
/// The shipped rules.
OperatorRules shipped_operator_rules();

/// Adds what the profile lacks and a rule gives: attention of other head sizes, fp8 with scales per block or
/// (experts) per channel, latent attention with other weights. Those are marked `by_rule` and not written to
/// files.
void add_operators_by_rule(GpuProfile&, const OperatorRules&);

/// The scan's models of prompts and of decodes on a GPU. Throws InputError if the profile has no bf16 GEMM.
OperatorModel state_space_prefill_model(const GpuProfile&, const StateSpaceRule&);
OperatorModel state_space_decode_model(const GpuProfile&, const StateSpaceRule&);

}  // namespace sextant
