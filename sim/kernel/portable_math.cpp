#include "sim/kernel/portable_math.hpp"

#include <algorithm>
#include <cmath>

namespace sextant {

namespace {

// ln 2 in two parts (fdlibm): the first has 21 zero bits at its end, so that a product with any exponent is
// exact.
constexpr double ln2_high = 6.93147180369123816490e-01;
constexpr double ln2_low = 1.90821492927058770002e-10;

}  // namespace

double portable_log(double x) {
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // exact; in [1/2, 1)
  if (mantissa < 0.70710678118654752440) {
    mantissa *= 2;
    --exponent;
  }
  // log(m) = 2 artanh(f) = 2 (f + f^3/3 + f^5/5 + ...), f = (m - 1)/(m + 1), |f| < 0.172: 0.172^23/23 is
  // below 2^-60.
  const double f = (mantissa - 1) / (mantissa + 1);
  const double square = f * f;
  double series = 0;
  for (int power = 23; power >= 3; power -= 2) series = (series + 1.0 / power) * square;
  return exponent * ln2_high + (2 * f + (2 * f * series + exponent * ln2_low));
}

double portable_exp(double x) {
  if (x != x) return x;
  const double bounded = std::clamp(x, -800.0, 800.0);  // beyond, the result is 0 or infinity anyway
  const double exponent = std::floor(bounded / (ln2_high + ln2_low) + 0.5);
  const double rest =
      (bounded - exponent * ln2_high) - exponent * ln2_low;  // |rest| <= 0.347: 0.347^14/14! < 2^-60
  double series = 1;
  for (int n = 14; n >= 1; --n) series = 1 + series * rest / n;
  return std::ldexp(series, static_cast<int>(exponent));
}

}  // namespace sextant
