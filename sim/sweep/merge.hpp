#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sextant {

/// Every row of a sweep in order of points, and the grid they are of.
struct MergedSweep {
  std::string identity;  ///< of SweepGrid
  std::vector<std::string> rows;
};

/// Shards are there, but not all of their points yet.
struct MissingPoints {
  std::uint64_t missing = 0;
  std::string text;  ///< "12 of 1,000 points are missing: …"; empty where nothing is
};

/// Puts the files of shards together, whatever number of shards they were cut for. Throws InputError for
/// shards of different grids (with the difference), two rows of one point that differ, a point outside of the
/// grid; sets `missing` where points are.
MergedSweep merge_shards(const std::vector<std::string>& files, MissingPoints& missing);

/// The shards' files that a folder holds, sorted. Throws InputError if there are none.
std::vector<std::string> shard_files(const std::string& folder);

}  // namespace sextant
