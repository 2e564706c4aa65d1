#include "calibrate/measure/common/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

std::vector<double> sorted(std::span<const double> values) {
  if (values.empty()) throw Error(ExitCode::failure, "found no samples, expected at least one");
  std::vector<double> copy(values.begin(), values.end());
  std::sort(copy.begin(), copy.end());
  return copy;
}

double middle(const std::vector<double>& ascending) {
  const std::size_t half = ascending.size() / 2;
  return ascending.size() % 2 == 1 ? ascending[half] : (ascending[half - 1] + ascending[half]) / 2;
}

/// log of P(Binomial(n, 1/2) = k).
double log_probability(std::size_t n, std::size_t k) {
  const auto size = static_cast<double>(n), chosen = static_cast<double>(k);
  return std::lgamma(size + 1) - std::lgamma(chosen + 1) - std::lgamma(size - chosen + 1) -
         size * std::log(2.0);
}

}  // namespace

double median(std::span<const double> values) {
  return middle(sorted(values));
}

MedianInterval median_interval(std::span<const double> values, double confidence) {
  const std::vector<double> ascending = sorted(values);
  const std::size_t n = ascending.size();
  const double allowed = (1 - confidence) / 2;
  double below = 0;  // P(Binomial < j)
  std::size_t j = 0;
  while (j < n / 2) {
    const double next = below + std::exp(log_probability(n, j));
    if (next > allowed) break;
    below = next;
    ++j;
  }
  if (j == 0) {
    j = 1;
    below = std::exp(log_probability(n, 0));
  }
  return {middle(ascending), ascending[j - 1], ascending[n - j], std::max(0.0, 1 - 2 * below)};
}

}  // namespace sextant::measure
