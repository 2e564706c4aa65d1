#pragma once
#include <span>

namespace sextant::measure {

/// The middle value; the mean of the two middle ones of an even number. Throws Error if there is none.
double median(std::span<const double> values);

/// An interval that holds the true median with at least the asked probability, from order statistics alone.
struct MedianInterval {
  double median = 0;
  double low = 0;
  double high = 0;
  double confidence = 0;  ///< that is reached: below what was asked where there are too few values
  /// Half the interval's width over the median.
  double relative_half_width() const { return (high - low) / 2 / median; }
};

/// Bounds are the order statistics j and n + 1 - j with the largest j for which
/// P(Binomial(n, 1/2) < j) <= (1 - confidence) / 2; the whole range where even j = 1 fails.
MedianInterval median_interval(std::span<const double> values, double confidence = 0.95);

}  // namespace sextant::measure
