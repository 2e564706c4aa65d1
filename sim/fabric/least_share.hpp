#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <vector>

namespace sextant {

/// The least of many shares, each in a numbered slot, as a knockout tournament: a slot changes in log2(slots)
/// steps without a branch that could be guessed wrong. Shares are told apart to 2^-(52 - log2(slots)) of
/// their value, 2^-32 for a million slots; of equal ones the first slot is the least.
class LeastShare {
 public:
  static constexpr double none = std::numeric_limits<double>::infinity();

  /// So many slots, all empty; then put() each and settle().
  void begin(std::size_t slots) {
    leaves_ = std::bit_ceil(slots);
    low_bits_ = leaves_ - 1;
    keys_.assign(2 * leaves_, empty);
  }
  void put(std::size_t slot, double share) { keys_[leaves_ + slot] = key(slot, share); }
  void settle() {
    for (std::size_t node = leaves_ - 1; node > 0; --node) keys_[node] = least_child(node);
  }
  /// Changes a slot; `none` empties it.
  void set(std::size_t slot, double share) {
    std::uint64_t winner = key(slot, share);
    std::size_t node = leaves_ + slot;
    keys_[node] = winner;
    for (; node > 1; node /= 2) {  // only the other side of each match is read: none waits for a write
      winner = std::min(winner, keys_[node ^ 1]);
      keys_[node / 2] = winner;
    }
  }
  std::size_t slot() const { return static_cast<std::size_t>(keys_[1] & low_bits_); }
  /// The least share, rounded down; `none` where all slots are empty.
  double share() const { return keys_[1] >= empty ? none : std::bit_cast<double>(keys_[1] & ~low_bits_); }

 private:
  // Doubles that are not negative are ordered as their bits are.
  static constexpr std::uint64_t empty = std::bit_cast<std::uint64_t>(none);
  std::uint64_t key(std::size_t slot, double share) const {
    return (std::bit_cast<std::uint64_t>(share) & ~low_bits_) | slot;
  }
  std::uint64_t least_child(std::size_t node) const {
    const std::uint64_t a = keys_[2 * node], b = keys_[2 * node + 1];
    return a < b ? a : b;
  }

  std::uint64_t leaves_ = 1, low_bits_ = 0;
  std::vector<std::uint64_t> keys_{empty, empty};  ///< the winner of all in [1], slots from leaves_ on
};

}  // namespace sextant
