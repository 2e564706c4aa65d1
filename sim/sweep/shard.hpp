#pragma once
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace sextant {

/// The part of a grid that one process computes: of the points, every `count`-th from `index` on (from 0), so
/// that neighbours, which take about as long, spread over all.
struct Shard {
  std::uint64_t index = 0, count = 1;

  bool holds(std::uint64_t point) const { return point % count == index; }
  /// How many of `points` it has.
  std::uint64_t size(std::uint64_t points) const { return points / count + (index < points % count ? 1 : 0); }
  /// The i-th of its points.
  std::uint64_t point(std::uint64_t i) const { return index + i * count; }
  /// "3/8": people count from 1.
  std::string text() const;
  /// "shard-3-of-8.jsonl", zeros in front so that names sort.
  std::string file_name() const;
};

/// Reads "3/8". Throws InputError.
Shard read_shard(const std::string& text);

/// Reads an environment variable; nullopt where it is not set.
using Environment = std::function<std::optional<std::string>(const std::string&)>;
std::optional<std::string> process_environment(const std::string& name);

/// The shard that a cluster's engine says this process is: a Slurm array task (SLURM_ARRAY_TASK_ID of
/// SLURM_ARRAY_TASK_COUNT, counted from SLURM_ARRAY_TASK_MIN) or a pod of an Indexed Job
/// (JOB_COMPLETION_INDEX of JOB_COMPLETIONS); nullopt outside of both. Throws InputError where only half of
/// it is there or does not agree.
std::optional<Shard> shard_from(const Environment&);

}  // namespace sextant
