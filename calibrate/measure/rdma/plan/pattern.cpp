#include "calibrate/measure/rdma/plan/pattern.hpp"

#include <algorithm>
#include <cstring>

namespace sextant::rdma {
namespace {

constexpr std::size_t word = sizeof(std::uint64_t);

/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
  value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
  return value ^ (value >> 31);
}

}  // namespace

void fill_pattern(std::uint64_t seed, std::span<std::byte> data) {
  const std::uint64_t start = mixed(seed);
  for (std::size_t at = 0; at < data.size(); at += word) {
    const std::uint64_t value = mixed(start + at);
    std::memcpy(data.data() + at, &value, std::min(word, data.size() - at));
  }
}

std::uint64_t checksum(std::span<const std::byte> data) {
  constexpr std::uint64_t odd = 0xff51afd7ed558ccd;  // multiplying by an odd number loses nothing
  std::uint64_t sum = mixed(data.size());
  for (std::size_t at = 0; at < data.size(); at += word) {
    std::uint64_t value = 0;
    std::memcpy(&value, data.data() + at, std::min(word, data.size() - at));
    sum = (sum ^ value) * odd;
    sum ^= sum >> 32;
  }
  return sum;
}

}  // namespace sextant::rdma
