#pragma once

namespace sextant {

/// Natural logarithm of a positive, finite x from IEEE additions, products and one division only, so that
/// every platform gets the same bits, which std::log does not promise. Relative error below 4e-16 away from
/// 1, absolute below 1e-16 near it.
double portable_log(double x);

/// e to the power of x, likewise; relative error below 1e-15. Overflows to infinity and underflows to 0.
double portable_exp(double x);

}  // namespace sextant
