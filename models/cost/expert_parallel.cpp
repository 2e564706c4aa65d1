#include "models/cost/expert_parallel.hpp"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>

namespace sextant {
namespace {

/// Integral of x^power from 1 to `largest`.
double integral(double power, double largest) {
  return std::abs(power + 1) < 1e-9 ? std::log(largest) : (std::pow(largest, power + 1) - 1) / (power + 1);
}

/// Load below which a share `u` of the experts lies.
double load_at(double u, double exponent, double largest) {
  const double power = 1 - exponent;
  if (std::abs(power) < 1e-9) return std::pow(largest, u);
  return std::pow(1 + u * (std::pow(largest, power) - 1), 1 / power);
}

/// The largest of `count` draws of a normal distribution, in deviations above its mean.
double expected_largest(double count) {
  return boost::math::quantile(boost::math::normal(), (count - 0.375) / (count + 0.25));
}

}  // namespace

double fullest_rank(std::int64_t experts, std::int64_t ranks, double exponent, double largest) {
  if (ranks <= 1 || experts < ranks || !(largest > 1)) return 1;
  const double all = integral(-exponent, largest);
  const double mean = integral(1 - exponent, largest) / all;
  const double variance = integral(2 - exponent, largest) / all - mean * mean;
  const auto n = static_cast<double>(ranks);
  const double quantile = expected_largest(n);
  const double each = static_cast<double>(experts) / n;
  const double excess = quantile * std::sqrt((1 - 1 / n) / each) * std::sqrt(std::max(0.0, variance)) / mean;
  const auto count = static_cast<double>(experts);
  const double top = load_at(count / (count + 1), exponent, largest);
  const double with_top = n * (top + (each - 1) * mean) / (top + (count - 1) * mean);
  return std::min(std::max(1 + excess, with_top), n);
}

double fullest_rank_by_chance(std::int64_t experts, std::int64_t topk, std::int64_t ranks, double tokens) {
  if (ranks <= 1 || experts < ranks || topk >= experts || !(tokens > 0)) return 1;
  const auto n = static_cast<double>(ranks), all = static_cast<double>(experts),
             taken = static_cast<double>(topk);
  const double mean = tokens * taken / n;
  const double variance = mean * (1 - 1 / n) * (all - taken) / (all - 1);
  const double largest = mean + expected_largest(n) * std::sqrt(n / (n - 1) * variance);
  const double most = tokens * std::min(taken, all / n);
  return std::min(std::max(largest, std::ceil(mean)), most) / mean;
}

}  // namespace sextant
