#include "sim/sweep/merge.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "models/base/error.hpp"
#include "sim/sweep/shard_file.hpp"

namespace sextant {
namespace {

void expect_same_grid(const std::string& path, const ShardHeader& header, const std::string& first,
                      const std::string& identity) {
  const std::string difference = identity_difference(identity, header.identity);
  if (!difference.empty())
    throw InputError(fmt::format("{} and {}: found shards of different grids, which differ in {}", first,
                                 path, difference));
}

MissingPoints missing_points(const std::vector<std::string>& rows) {
  MissingPoints missing;
  std::size_t first = 0;
  for (std::size_t point = rows.size(); point-- > 0;)
    if (rows[point].empty()) {
      ++missing.missing;
      first = point;
    }
  if (missing.missing > 0)
    missing.text = fmt::format(
        "{} of {} points are missing, the first is point {}; the shards that lack them "
        "resume where they stopped",
        missing.missing, rows.size(), first);
  return missing;
}

}  // namespace

MergedSweep merge_shards(const std::vector<std::string>& files, MissingPoints& missing) {
  MergedSweep merged;
  for (const std::string& path : files) {
    std::vector<std::pair<std::uint64_t, std::string>> found;
    const ShardHeader header = read_shard_file(
        path, [&](std::uint64_t point, std::string_view row) { found.emplace_back(point, row); });
    if (merged.identity.empty()) {
      merged.identity = header.identity;
      merged.rows.resize(static_cast<std::size_t>(header.points));
    }
    expect_same_grid(path, header, files.front(), merged.identity);
    for (auto& [point, row] : found) {
      if (point >= merged.rows.size())
        throw InputError(
            fmt::format("{}: found point {}, expected less than {}", path, point, merged.rows.size()));
      std::string& kept = merged.rows[static_cast<std::size_t>(point)];
      if (!kept.empty() && kept != row)
        throw InputError(
            fmt::format("{}: found a row of point {} that differs from another shard's", path, point));
      kept = std::move(row);
    }
  }
  missing = missing_points(merged.rows);
  return merged;
}

std::vector<std::string> shard_files(const std::string& folder) {
  namespace fs = std::filesystem;
  std::vector<std::string> files;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("shard-") && name.ends_with(".jsonl")) files.push_back(entry.path().string());
  }
  if (error) throw InputError(fmt::format("{}: {}", folder, error.message()));
  if (files.empty()) throw InputError(folder + ": found no shard, expected files such as shard-1-of-8.jsonl");
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace sextant
