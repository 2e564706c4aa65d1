#pragma once
#include <string>

#include "models/base/figure.hpp"
#include "models/profile/spread.hpp"

namespace sextant {

/// How a card's clock follows its power limit:
///   watts = static + memory x (rate of the memory) + (watts per MHz of the work) x clock x V(clock)^2,
///   V(clock) = 1 + slope x (clock - reference),
/// the voltage relative to that at the reference clock, because only its product with the switched
/// capacitance shows in watts. Tensor-bound work is as fast as the clock; streaming work too, up to the clock
/// at which the memory is saturated. A card that may not draw what its lowest clock needs skips cycles.
struct PowerModel {
  std::string gpu;               ///< catalogue name
  Figure static_watts;           ///< leakage, fans and idle memory; drawn while waiting, too
  Figure memory_watts;           ///< memory and its interface at their full rate
  Figure tensor_watts_per_mhz;   ///< switched capacitance of tensor-bound work at the reference voltage
  Figure stream_watts_per_mhz;   ///< the same of streaming work
  Figure voltage_slope_per_ghz;  ///< relative
  double reference_mhz = 1500;
  Figure lowest_clock_mhz, highest_clock_mhz;
  Figure stream_saturation_mhz;                       ///< from which the memory, not the clock, is the limit
  Figure default_watts, lowest_watts, highest_watts;  ///< limits
  Spread tensor_spread, stream_spread;                ///< 90 % interval of true / predicted relative speed
};

}  // namespace sextant
