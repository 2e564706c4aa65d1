#include "calibrate/import/duplicates.hpp"

#include <bit>
#include <utility>

namespace sextant {
namespace {

constexpr int time_bits = 24;
constexpr std::uint64_t time_mask = (std::uint64_t{1} << time_bits) - 1;
constexpr std::size_t first_slots = 64;

// A positive float has no sign to keep: its exponent and the first sixteen bits of its mantissa remain.
constexpr int dropped_bits = 31 - time_bits;

std::uint64_t pack(double time) {
  return (std::bit_cast<std::uint32_t>(static_cast<float>(time)) >> dropped_bits) & time_mask;
}

double unpack(std::uint64_t entry) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(entry & time_mask) << dropped_bits);
}

/// Spreads a hash of any quality over all bits (the finisher of MurmurHash3).
std::uint64_t mix(std::uint64_t hash) {
  hash = (hash ^ (hash >> 33)) * 0xff51afd7ed558ccdULL;
  hash = (hash ^ (hash >> 33)) * 0xc4ceb9fe1a85ec53ULL;
  return hash ^ (hash >> 33);
}

// The fingerprint alone decides where an entry lies, so that a table can grow without the whole hash.
std::size_t home(std::uint64_t entry, std::size_t slots) {
  return static_cast<std::size_t>((entry >> time_bits) * 0x9e3779b97f4a7c15ULL >> 32) % slots;
}

}  // namespace

double DuplicateFinder::look(Shard& shard, std::uint64_t fingerprint, std::uint64_t entry) {
  for (std::size_t slot = home(entry, shard.slots.size());; slot = (slot + 1) % shard.slots.size()) {
    const std::uint64_t found = shard.slots[slot];
    if (found == 0) {
      shard.slots[slot] = entry;
      ++shard.used;
      return 0;
    }
    if (found >> time_bits == fingerprint) return unpack(found);
  }
}

void DuplicateFinder::grow(Shard& shard) {
  const std::vector<std::uint64_t> old = std::exchange(
      shard.slots, std::vector<std::uint64_t>(std::max(first_slots, shard.slots.size() * 3 / 2)));
  shard.used = 0;
  for (const std::uint64_t entry : old)
    if (entry != 0) look(shard, entry >> time_bits, entry);
}

double DuplicateFinder::look(std::uint64_t identity, double time) {
  const std::uint64_t hash = mix(identity);
  Shard& shard = shards_[hash & (shards_.size() - 1)];
  if ((shard.used + 1) * 5 > shard.slots.size() * 4) grow(shard);
  // A fingerprint of zero would look like an empty slot.
  const std::uint64_t fingerprint = hash >> time_bits == 0 ? 1 : hash >> time_bits;
  return look(shard, fingerprint, fingerprint << time_bits | pack(time));
}

std::size_t DuplicateFinder::size() const {
  std::size_t used = 0;
  for (const Shard& shard : shards_) used += shard.used;
  return used;
}

}  // namespace sextant
