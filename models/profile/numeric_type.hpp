#pragma once
#include <string>

namespace sextant {

/// Bytes of one stored element of a type, block scales included (nvfp4: one fp8 scale for 16 elements). Keys
/// and values, activations and weights alike. Throws InputError for an unknown type.
double element_bytes(const std::string& type);

/// Bytes of one element that a GEMM of this profile dtype reads as its input (w4a16 computes on 16 bit).
double activation_bytes(const std::string& gemm_type);

/// Bytes of one element that every GEMM and attention kernel writes: 16 bit.
inline constexpr double output_bytes = 2;

}  // namespace sextant
