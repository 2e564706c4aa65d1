#include "models/profile/numeric_type.hpp"

#include <fmt/core.h>

#include <array>
#include <string_view>
#include <utility>

#include "models/base/error.hpp"

namespace sextant {

double element_bytes(const std::string& type) {
  constexpr double nvfp4 = 0.5 + 1.0 / 16, mxfp4 = 0.5 + 1.0 / 32;  // an 8-bit scale for 16 or 32 elements
  constexpr double int4_groups = 0.5 + 2.0 / 128;                   // a 16-bit scale for 128 elements
  constexpr std::array<std::pair<std::string_view, double>, 10> known = {{{"bf16", 2},
                                                                          {"fp16", 2},
                                                                          {"fp8", 1},
                                                                          {"fp8_block", 1},
                                                                          {"fp8_channel", 1},
                                                                          {"int8", 1},
                                                                          {"nvfp4", nvfp4},
                                                                          {"int4_wo", int4_groups},
                                                                          {"w4a16_mxfp4", mxfp4},
                                                                          {"w4a8_mxfp4_mxfp8", mxfp4}}};
  std::string names;
  for (const auto& [name, bytes] : known) {
    if (name == type) return bytes;
    names.append(names.empty() ? "" : ", ").append(name);
  }
  throw InputError(fmt::format("found the type '{}', expected one of {}", type, names));
}

double activation_bytes(const std::string& gemm_type) {
  return element_bytes(gemm_type == "w4a16" ? "bf16" : gemm_type);
}

}  // namespace sextant
