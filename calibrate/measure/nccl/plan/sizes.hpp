#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "calibrate/measure/nccl/plan/options.hpp"

namespace sextant::nccl {

/// Bytes to measure: a coarse part that is measured first, and what fills the gaps.
struct Sizes {
  std::vector<std::uint64_t> coarse, fine;
};

/// How densely a sweep covers its range: every power of 2, of 4, of 8, of 64.
enum class Density { full, medium, coarse, sparse };

/// Sizes of the sweep, 1 KiB to 1 GiB unless -b or -e say otherwise; a step on the command line replaces the
/// density. Both ends are always measured.
Sizes sweep_sizes(const Options&, Density);

/// nccl-tests' sizes for a named operation: -b to -e (32 MiB each) by -f, or by -i (1 MiB).
std::vector<std::uint64_t> given_sizes(const Options&);

/// "1K 2K 4M", as measure::size_text has it.
std::string sizes_text(const std::vector<std::uint64_t>& bytes);

}  // namespace sextant::nccl
