#pragma once
#include <string>
#include <vector>

#include "sim/validation/comparison.hpp"

namespace sextant {

/// How well one kind of row is predicted on one GPU, or one part of that kind. Errors are predicted /
/// measured - 1; percentiles are linear between order statistics.
struct GroupSummary {
  std::string kind, gpu;
  std::string part;          ///< empty: the whole kind
  std::int64_t rows = 0;     ///< lines of the files
  std::int64_t values = 0;   ///< with an error; a serving row has one for each of its metrics
  std::int64_t without = 0;  ///< values that nothing predicts
  double median = 0;         ///< of |error|
  double p90 = 0;            ///< of |error|
  double worst = 0;          ///< of |error|
  double bias = 0;           ///< median error: above 0 predicted too high
  std::int64_t with_interval = 0;
  std::int64_t covered = 0;  ///< measured values within the 90 % interval
  std::int64_t outside = 0;  ///< values asked for outside a fitted range
  Grade grade = Grade::measured;
};

/// Each kind on each GPU in the order of the first row, its parts (by name) after it.
std::vector<GroupSummary> summarise(const std::vector<Comparison>&);

/// A statistic that --fail-above bounds.
enum class Statistic { median, p90, worst, bias };
std::string to_string(Statistic);
double value_of(const GroupSummary&, Statistic);

/// KIND[/PART][:GPU]:STATISTIC=PERCENT, e.g. "gemm:median=5" or "serving/total_kv_blocks:h100-sxm:worst=3".
struct ErrorBound {
  std::string text;  ///< as given
  std::string kind, part, gpu;
  Statistic statistic = Statistic::median;
  double percent = 0;
};
/// Throws InputError naming what was found and what was expected.
ErrorBound read_error_bound(const std::string& text);

/// A bound that does not hold, in words. Without a GPU a bound is for each GPU by itself; one that meets no
/// predicted value does not hold either.
std::vector<std::string> missed(const std::vector<ErrorBound>&, const std::vector<GroupSummary>&);

/// The words for all kinds of rows.
std::vector<std::string> measurement_kinds();

}  // namespace sextant
