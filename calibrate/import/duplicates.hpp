#pragma once
#include <array>
#include <cstdint>
#include <vector>

namespace sextant {

/// Finds rows that measure the same thing again. Keeps eight bytes a slot: forty bits of the row's hash and
/// its time to five digits; ten million rows take about 140 MB and are mistaken for one another once in a
/// thousand files.
class DuplicateFinder {
 public:
  /// The time seen first under this identity, in the unit given then; 0 if it is new.
  double look(std::uint64_t identity, double time);
  std::size_t size() const;

 private:
  /// One of many small tables, so that growing one at a time never doubles the whole.
  struct Shard {
    std::vector<std::uint64_t> slots;
    std::size_t used = 0;
  };
  static double look(Shard&, std::uint64_t identity, std::uint64_t entry);
  static void grow(Shard&);
  std::array<Shard, 64> shards_;
};

}  // namespace sextant
