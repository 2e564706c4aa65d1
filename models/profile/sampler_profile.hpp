#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/base/figure.hpp"
#include "models/base/json_reader.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// What the kernels of one part of an engine's sampler take for the logits of one step's rows: launches,
/// words
/// * serial (once, or for each round of rows where every row keeps a multiprocessor), all logits' bytes over
/// the GPU's memory rate, and their work over its multiprocessors.
struct SamplerKernel {
  std::int64_t rows_from = 1;     ///< stands from so many rows on, until the next
  std::optional<bool> top_k;      ///< for filters with a top_k alone, or without one alone; nullopt: both
  double launch_us = 0;           ///< whatever the size
  double serial_ns_per_word = 0;  ///< passes along a row that its length alone decides
  bool row_a_multiprocessor = false;
  double bytes_per_logit = 0;              ///< moved, or what costs as much
  double multiprocessor_ns_per_logit = 0;  ///< of one of them
  std::string source;
};

/// An engine's sampler beside the greedy choice, which is among the model's own operators: each part a list
/// by rising rows.
struct SamplerModel {
  std::vector<SamplerKernel> random;     ///< temperature, softmax, a draw
  std::vector<SamplerKernel> filter;     ///< top_p and top_k
  std::vector<SamplerKernel> penalties;  ///< counts of words so far, and what they change
  Grade grade = Grade::assumed;
  Spread spread;
};

/// {"grade": …, "spread": [low, high], "random": [{"rows_from": 1, "launch_us": …, …}], "filter": […],
/// "penalties": […]}. Throws InputError for rows that do not rise from 1.
SamplerModel read_sampler(const JsonValue&);

}  // namespace sextant
