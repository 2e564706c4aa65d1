#include "models/profile/numeric_type.hpp"

#include <fmt/core.h>

#include <array>
#include <string_view>
#include <utility>

#include "models/base/error.hpp"

namespace sextant {

double element_bytes(const std::string& type) {
  constexpr double nvfp4 = 0.5 + 1.0 / 16;
  constexpr std::array<std::pair<std::string_view, double>, 6> known = {
      {{"bf16", 2}, {"fp16", 2}, {"fp8", 1}, {"fp8_block", 1}, {"int8", 1}, {"nvfp4", nvfp4}}};
  for (const auto& [name, bytes] : known)
    if (name == type) return bytes;
  throw InputError(
      fmt::format("found the type '{}', expected one of bf16, fp16, fp8, fp8_block, int8, nvfp4", type));
}

double activation_bytes(const std::string& gemm_type) {
  return element_bytes(gemm_type == "w4a16" ? "bf16" : gemm_type);
}

}  // namespace sextant
