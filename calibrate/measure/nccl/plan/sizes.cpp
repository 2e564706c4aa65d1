#include "calibrate/measure/nccl/plan/sizes.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "calibrate/measure/common/size_text.hpp"
#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

constexpr std::uint64_t kib = 1024, mib = 1024 * kib, gib = 1024 * mib;

std::vector<std::uint64_t> stepped(std::uint64_t least, std::uint64_t most, int factor, std::uint64_t step) {
  constexpr std::size_t too_many = 100'000;
  std::vector<std::uint64_t> sizes;
  for (std::uint64_t bytes = least; bytes <= most;
       bytes = factor > 1 ? bytes * static_cast<std::uint64_t>(factor) : bytes + step) {
    if (bytes == 0 && factor > 1)
      throw InputError("nccl: minbytes is 0 with a step factor, expected at least 1");
    sizes.push_back(bytes);
    if (sizes.size() > too_many)
      throw InputError(fmt::format("nccl: found more than {} sizes, expected a larger step", too_many));
  }
  return sizes;
}

std::vector<std::uint64_t> powers(std::uint64_t least, std::uint64_t most, int factor) {
  std::vector<std::uint64_t> sizes = stepped(std::max<std::uint64_t>(least, 1), most, factor, 1);
  if (sizes.back() != most) sizes.push_back(most);
  return sizes;
}

int factor_of(Density density) {
  switch (density) {
    case Density::full:
      return 2;
    case Density::medium:
      return 4;
    case Density::coarse:
      return 8;
    case Density::sparse:
      return 64;
  }
  return 2;
}

}  // namespace

Sizes sweep_sizes(const Options& options, Density density) {
  const std::uint64_t least = options.min_bytes.value_or(std::min(kib, options.max_bytes.value_or(kib)));
  const std::uint64_t most = options.max_bytes.value_or(std::max(gib, least));
  if (options.step_factor || options.step_bytes)
    return {stepped(least, most, options.step_factor.value_or(1), options.step_bytes.value_or(mib)), {}};
  Sizes sizes;
  const int coarse_factor = std::max(factor_of(density), factor_of(Density::coarse));
  sizes.coarse = powers(least, most, coarse_factor);
  for (const std::uint64_t bytes : powers(least, most, factor_of(density)))
    if (!std::binary_search(sizes.coarse.begin(), sizes.coarse.end(), bytes)) sizes.fine.push_back(bytes);
  return sizes;
}

std::vector<std::uint64_t> given_sizes(const Options& options) {
  const std::uint64_t least = options.min_bytes.value_or(32 * mib),
                      most = options.max_bytes.value_or(32 * mib);
  if (least > most)
    throw InputError(fmt::format("nccl: minbytes is {} and maxbytes {}, expected no more", least, most));
  return stepped(least, most, options.step_factor.value_or(1), options.step_bytes.value_or(mib));
}

std::string sizes_text(const std::vector<std::uint64_t>& bytes) {
  std::string text;
  for (const std::uint64_t each : bytes) {
    if (!text.empty()) text += ' ';
    text += measure::size_text(static_cast<std::int64_t>(each));
  }
  return text;
}

}  // namespace sextant::nccl
