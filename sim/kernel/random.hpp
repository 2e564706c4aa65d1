#pragma once
#include <cstdint>
#include <string_view>

namespace sextant {

/// A stream of random numbers named by (seed, component, replication): changing one component's use of chance
/// leaves every other stream as it was. Own generator and own distributions, so that results are the same on
/// every platform (std:: distributions differ between standard libraries).
class RandomStream {
 public:
  RandomStream(std::uint64_t seed, std::string_view component, std::uint64_t replication = 0);

  std::uint64_t bits();                           ///< 64 random bits
  double uniform();                               ///< in (0, 1), never 0 or 1
  std::uint64_t below(std::uint64_t n);           ///< in [0, n), unbiased; n > 0
  double exponential(double mean);                ///< > 0
  double normal();                                ///< mean 0, deviation 1
  double lognormal(double median, double sigma);  ///< median * exp(sigma * normal())
  double gamma(double shape, double scale);       ///< shape > 0; mean shape * scale

 private:
  std::uint64_t state_[4];
};

}  // namespace sextant
