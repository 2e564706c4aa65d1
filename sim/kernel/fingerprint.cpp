#include "sim/kernel/fingerprint.hpp"

#include <fmt/format.h>

namespace sextant {

std::uint64_t Fingerprint::value() const {
  std::uint64_t hash =
      state_;  // MurmurHash3's final avalanche: every bit of the state reaches every bit of the value
  hash = (hash ^ hash >> 33) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ hash >> 33) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ hash >> 33;
}

std::string Fingerprint::text() const {
  return fmt::format("{:016x}", value());
}

}  // namespace sextant
