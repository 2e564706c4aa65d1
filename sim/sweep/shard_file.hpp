#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "sim/sweep/grid.hpp"
#include "sim/sweep/shard.hpp"

namespace sextant {

/// What stands in the first line of a shard's file: the grid it belongs to, its points, which part it is.
struct ShardHeader {
  std::string identity;  ///< of SweepGrid
  std::uint64_t points = 0;
  Shard shard;
};

/// The rows of one shard as they come: JSON Lines, a header first. Opening takes up what an earlier process
/// left: a torn last line is cut off, rows that are there are not computed again. One process at a time may
/// hold it (flock).
class ShardFile {
 public:
  /// Throws InputError for a file of another grid (with the difference) or shard, one with a broken line
  /// before the last, and one that another process writes; Error (failure) if it cannot be written.
  ShardFile(const std::string& path, const ShardHeader&);
  ~ShardFile();
  ShardFile(const ShardFile&) = delete;
  ShardFile& operator=(const ShardFile&) = delete;

  /// Whether the i-th point of the shard has its row.
  bool has(std::uint64_t i) const { return done_[static_cast<std::size_t>(i)]; }
  std::uint64_t rows() const { return rows_; }
  /// Adds a row as one line; may be called from several threads.
  void append(const std::string& row);

 private:
  void open();
  void take_up(const ShardHeader&);
  void write(const std::string& text);
  std::string path_;
  int file_ = -1;
  std::vector<bool> done_;
  std::uint64_t rows_ = 0;
  bool broken_ = false;  ///< the last row is not whole
  std::mutex mutex_;
};

/// Reads a shard's file whatever its grid: header, then each whole row with its number of point; a torn last
/// line is left out. Throws InputError.
ShardHeader read_shard_file(const std::string& path,
                            const std::function<void(std::uint64_t point, std::string_view row)>&);

}  // namespace sextant
