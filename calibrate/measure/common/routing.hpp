#pragma once
#include <cstdint>
#include <vector>

namespace sextant::measure {

/// Which experts the tokens of a mixture go to, drawn before anything runs, and the tokens' places once they
/// are sorted by expert.
struct Routing {
  /// Tokens of one expert.
  struct Load {
    int expert = 0;
    std::int64_t rows = 0;
  };
  std::vector<Load> loads;               ///< of experts with tokens, fullest first
  std::vector<std::int32_t> row_tokens;  ///< the token of each row, expert after expert
  std::vector<std::int32_t> token_rows;  ///< [tokens, topk]: where each token's rows are; -1: on another GPU
};

/// Token after token takes the next experts in turn from `first` on: loads as even as can be.
Routing even_routing(std::int64_t tokens, int experts, int topk, int first);
/// Each token takes `topk` different experts, all sets equally likely.
Routing uniform_routing(std::int64_t tokens, int experts, int topk, std::uint64_t seed);
/// What a GPU that holds the experts [first, first + count) computes of it; its experts count from 0.
Routing of_experts(const Routing&, int first, int count);

}  // namespace sextant::measure
