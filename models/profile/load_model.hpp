#pragma once
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "models/base/figure.hpp"
#include "models/base/json_reader.hpp"

namespace sextant {

/// What one kind of work draws at the full clock, and the share of its time that goes with the clock (0: the
/// memory alone sets it, 1: the arithmetic alone), by its tokens: rows of a GEMM, tokens of each expert, new
/// tokens of a prompt, cached tokens of a decode. Three lists of one length, tokens rising.
struct WorkLoad {
  std::vector<double> tokens, watts, clock_share;
};

/// How a card's clock falls when work that draws more than its power limit lasts. Kernels are measured in
/// bursts at the full clock; the limit acts on averages over tens of milliseconds. Then
///   clock / full clock = ((limit - idle) / (mean draw at the full clock - idle)) ^ (1 / exponent),
/// because what switches draws its watts with the clock and the square of a voltage that follows the clock.
struct LoadModel {
  double limit_watts = 0;
  double idle_watts = 0;                  ///< awake, without work
  double clock_exponent = 0;              ///< of the clock in the watts above idle
  double window_seconds = 0;              ///< of work after waiting before the limit acts
  std::map<std::string, WorkLoad> works;  ///< "gemm/bf16", "attention_decode/fp8", "collective", ...
  Grade grade = Grade::assumed;
  std::string source;
};

/// Watts and the share of time that goes with the clock.
struct WorkDraw {
  double watts = 0, clock_share = 0;
};
/// Straight in the logarithm of tokens, constant beyond either end.
WorkDraw draw_of(const WorkLoad&, double tokens);

/// The clock, relative to the full one, at which work that would draw `mean_watts` stays within the limit; 1
/// where it does anyway.
double relative_clock(const LoadModel&, double mean_watts);

/// The "load" section of a profile; strict. Throws InputError.
LoadModel read_load_model(const JsonValue&);
nlohmann::ordered_json load_model_json(const LoadModel&);

}  // namespace sextant
