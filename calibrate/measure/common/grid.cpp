#include "calibrate/measure/common/grid.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

constexpr std::array<std::size_t, 6> bases = {2, 3, 5, 7, 11, 13};

double radical_inverse(std::size_t index, std::size_t base) {
  double value = 0, digit = 1.0 / static_cast<double>(base);
  for (; index > 0; index /= base, digit /= static_cast<double>(base))
    value += digit * static_cast<double>(index % base);
  return value;
}

}  // namespace

std::vector<std::int64_t> powers_of_two(std::int64_t least, std::int64_t most) {
  std::vector<std::int64_t> values;
  for (std::int64_t value = least; value <= most; value *= 2) values.push_back(value);
  return values;
}

std::vector<double> halton(std::size_t index, std::size_t dimensions) {
  if (dimensions > bases.size()) throw Error(ExitCode::failure, "halton: more dimensions than bases");
  std::vector<double> point;
  for (std::size_t i = 0; i < dimensions; ++i) point.push_back(radical_inverse(index + 1, bases[i]));
  return point;
}

std::int64_t log_between(std::int64_t low, std::int64_t high, double share, std::int64_t step) {
  const double value =
      static_cast<double>(low) * std::pow(static_cast<double>(high) / static_cast<double>(low), share);
  const auto rounded = static_cast<std::int64_t>(std::llround(value / static_cast<double>(step))) * step;
  return std::clamp(rounded, low, high);
}

std::vector<std::size_t> coarse_to_fine(std::size_t count) {
  std::size_t bits = 0;
  while ((std::size_t{1} << bits) < count) ++bits;
  std::vector<std::size_t> order;
  for (std::size_t i = 0; i < (std::size_t{1} << bits); ++i) {
    std::size_t reversed = 0;
    for (std::size_t bit = 0; bit < bits; ++bit)
      if ((i >> bit & 1U) != 0) reversed |= std::size_t{1} << (bits - 1 - bit);
    if (reversed < count) order.push_back(reversed);
  }
  return order;
}

}  // namespace sextant::measure
