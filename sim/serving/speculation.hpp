#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

/// vLLM's speculative_config: a drafter guesses tokens, and a step of the model verifies them all at once.
struct Speculation {
  enum class Method { draft_model, eagle, ngram, mtp } method = Method::ngram;
  std::int64_t num_speculative_tokens = 0;  ///< drafted for each decode in each step
  /// The probability of each drafted token, in order, to be accepted if those before it were. One for each.
  std::vector<double> acceptance;
  std::string model;  ///< draft_model: the drafter's catalogue name

  /// Tokens that a decode computes in a step: the drafted ones and the one they follow.
  std::int64_t tokens_per_decode() const { return num_speculative_tokens + 1; }
  /// Tokens beyond the cached ones for which a decode holds KV slots: those it computes, and as many again as
  /// are drafted where the drafter writes keys and values (num_lookahead_tokens of
  /// vllm/v1/core/sched/scheduler.py).
  std::int64_t reserved_tokens() const {
    return tokens_per_decode() + (method == Method::ngram ? 0 : num_speculative_tokens);
  }
  /// Tokens that a step yields on average, of a request with enough of them to come: for one rate a,
  /// (1 - a^(k + 1)) / (1 - a).
  double expected_tokens() const;
};

/// Reads "speculative_config": {"method", "num_speculative_tokens", "acceptance_rate": a rate or one for each
/// token, "model"}. Throws InputError.
Speculation read_speculation(const JsonValue&);

/// How many drafted tokens are accepted: a draw of its own for each place in each request's output, so that
/// neither other requests nor a preemption change it.
class AcceptanceDraws {
 public:
  /// Stream "speculation" of (seed, replication).
  AcceptanceDraws(const Speculation&, std::uint64_t seed, std::uint64_t replication);
  /// In [0, num_speculative_tokens], of the request of this id that has `to_come` tokens to come.
  std::int64_t accepted(std::uint64_t request, std::int64_t to_come) const;

 private:
  std::vector<double> at_least_;  // probability that the first i + 1 drafted tokens are accepted
  std::uint64_t key_;
};

}  // namespace sextant
