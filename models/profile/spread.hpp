#pragma once

namespace sextant {

/// What a time may be multiplied by and still be believed: the 90 % interval of true / predicted.
struct Spread {
  double low = 1;   ///< <= 1
  double high = 1;  ///< >= 1
};

}  // namespace sextant
