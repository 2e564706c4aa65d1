#pragma once
#include <cstdint>

namespace sextant {

/// How much more than its equal share the fullest of `ranks` GPUs gets, in expectation, when `experts` of
/// them are dealt out evenly and their loads follow a power law x^-exponent between 1 and `largest` (loads
/// are relative: only the ratio of the two counts). 1 for one rank or equal loads.
///
/// A GPU's load is the sum of n = experts / ranks loads of mean m and deviation s, given the sum of all. The
/// largest of ranks such sums, taken as normal, lies quantile((ranks - 0.375) / (ranks + 0.25)) deviations
/// above the mean (G. Blom, Statistical Estimates and Transformed Beta-Variables, 1958):
/// 1 + quantile x sqrt((1 - 1 / ranks) / n) x s / m. Where few experts share a GPU, heavy tails make their
/// sum no normal: it is at least that of the GPU with the busiest of all experts, whose load is the one that
/// experts / (experts + 1) of them lie below.
double fullest_rank(std::int64_t experts, std::int64_t ranks, double exponent, double largest);

/// The same where every token takes `topk` of the experts by chance, all alike: a token's experts on one GPU
/// are hypergeometric, of variance topk / ranks (1 - 1 / ranks) (experts - topk) / (experts - 1), and the
/// loads of all GPUs sum to a constant, so that the fullest lies quantile((ranks - 0.375) / (ranks + 0.25)) x
/// sqrt(ranks / (ranks - 1)) deviations above the mean. At least what whole tokens ask for, at most every
/// token with as many experts there as it takes or the GPU has.
double fullest_rank_by_chance(std::int64_t experts, std::int64_t topk, std::int64_t ranks, double tokens);

}  // namespace sextant
