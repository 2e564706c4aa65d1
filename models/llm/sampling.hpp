#pragma once
#include <cstdint>
#include <optional>

#include "models/base/json_reader.hpp"

namespace sextant {

/// How tokens are chosen, in the words of the serving API; the defaults choose at random among all words.
struct SamplingParameters {
  double temperature = 1;  ///< 0: greedy, the likeliest word
  double top_p = 1;        ///< below 1: among the likeliest words that together have this probability
  std::int64_t top_k = 0;  ///< above 0: among so many
  double repetition_penalty = 1;

  bool greedy() const { return temperature == 0; }
  bool filters() const { return !greedy() && (top_p < 1 || top_k > 0); }
  bool penalises() const { return repetition_penalty != 1; }
  bool operator==(const SamplingParameters&) const = default;
};

/// What a workload's requests say of their sampling; what they leave out is the model's.
struct SamplingOverrides {
  std::optional<double> temperature, top_p, repetition_penalty;
  std::optional<std::int64_t> top_k;
  SamplingParameters over(SamplingParameters defaults) const;
};

/// The keys temperature, top_p, top_k and repetition_penalty, each optional, in vLLM's ranges (top_k 0 or -1:
/// all words). Throws InputError outside.
SamplingOverrides read_sampling(const JsonObject&);

}  // namespace sextant
