#pragma once
#include <map>
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant::detail {

/// What the requests of a `vllm bench serve` file that did not fail say one by one; ms and tokens.
struct BenchSamples {
  std::map<std::string, std::vector<double>> latencies;  ///< by "ttft", "tpot", "itl", "e2el"
  double requests = 0, input_tokens = 0, output_tokens = 0;
};

/// Refuses a duration of 0 or none, and rates that are not what was counted over the duration. Throws
/// InputError with both numbers.
void expect_rates_agree(const JsonObject& file);
/// Refuses counts, means and percentiles that are not those of the requests. Throws InputError with both
/// numbers.
void expect_requests_agree(const JsonObject& file, const BenchSamples&);

}  // namespace sextant::detail
