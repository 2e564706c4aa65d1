#pragma once
#include <cstdint>
#include <optional>

#include "models/cost/cost.hpp"
#include "models/llm/sampling.hpp"
#include "models/profile/sampler_profile.hpp"

namespace sextant {

/// An engine's sampler at work: on logits of so many words, for requests of those parameters, on a GPU of so
/// many multiprocessors.
struct SamplerWork {
  SamplerModel model;
  SamplingParameters parameters;
  std::int64_t vocabulary = 0;
  int multiprocessors = 1;
};

/// What choosing the tokens of `rows` rows takes beside the greedy choice; nothing for greedy requests.
OperatorTime sampler_time(const SamplerWork&, const GpuProfile&, std::int64_t rows);

}  // namespace sextant
