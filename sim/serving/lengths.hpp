#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"
#include "sim/kernel/random.hpp"

namespace sextant {

/// How long prompts or outputs are.
struct LengthDistribution {
  enum class Kind { fixed, lognormal, uniform, empirical } kind = Kind::fixed;
  double mean = 0;   ///< fixed: the length; lognormal: the mean before clamping = median * exp(sigma^2 / 2)
  double sigma = 0;  ///< lognormal: deviation of the logarithm
  std::int64_t low = 1;  ///< drawn lengths are rounded to the nearest and clamped to [low, high]
  std::int64_t high = 1 << 20;
};

/// Reads {"fixed": n}, {"uniform": {"min", "max"}} or {"lognormal": {"mean" or "median", "sigma", "min",
/// "max"}}. Throws InputError.
LengthDistribution read_length(const JsonValue&);

/// A cumulative distribution by its quantiles: straight between neighbours.
struct Quantiles {
  std::vector<double> probability;  ///< from 0 to 1, rising
  std::vector<double> tokens;       ///< at those, not falling

  double at(double p) const;  ///< p in [0, 1]
  double mean() const;
  /// The interval of `probability` in which p lies.
  std::size_t interval(double p) const;
};

/// Prompt and output lengths of real requests, which depend on each other: the prompt's quantiles, and the
/// output's for each interval between two of them.
struct JointLengths {
  std::string source;  ///< where the figures come from, in words
  Quantiles prompt;
  std::vector<Quantiles> output;  ///< one for each interval of `prompt`

  double mean_output() const;
};

/// Reads a file of joint lengths: {"source", "prompt": {"probability": [..], "tokens": [..]}, "output":
/// {"probability": [..], "tokens": [[..] for each interval of the prompt]}}. Throws InputError.
JointLengths read_joint_lengths(const std::string& path);

/// Draws lengths from a distribution.
class LengthStream {
 public:
  LengthStream(const LengthDistribution&, RandomStream);
  std::int64_t next();

 private:
  LengthDistribution distribution_;
  double median_;
  RandomStream random_;
};

}  // namespace sextant
