#pragma once
#include <span>

#include "models/cost/cost.hpp"
#include "models/cost/operator_work.hpp"

namespace sextant {

/// The chunked scan of prompts (https://arxiv.org/abs/2405.21060, section 6): for each token, with chunks of
/// Q tokens, 2 Q state groups FLOPs for C B^T, 2 Q head_dim heads for its product with x, 4 state head_dim
/// heads for the chunks' states and what they give, and the convolution. Inputs and outputs move once, x, B
/// and C twice more around the convolution, and each chunk's state twice (written and passed on).
OperatorWork state_space_prefill_work(const StateSpaceShape&, std::span<const PrefillChunk>);

/// One token of each of `batch` sequences: its state and its last inputs of the convolution are read and
/// written; 6 FLOPs for each value of state.
OperatorWork state_space_decode_work(const StateSpaceShape&, double batch);

}  // namespace sextant
