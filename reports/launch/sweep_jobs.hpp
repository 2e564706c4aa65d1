#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace sextant {

/// A sweep to be spread over a cluster's nodes.
struct SweepJobs {
  std::string title;  ///< the grid in words, for comments
  std::uint64_t shards = 1;
  std::uint64_t threads = 1;       ///< of each shard
  std::vector<std::string> words;  ///< of `sextant sweep`: scenario, axes, …; without rows, shard and threads
};

/// Where a Slurm job finds things; all absolute.
struct SlurmPlaces {
  std::string program;   ///< sextant
  std::string rows;      ///< folder of the shards, logs and results
  std::string profiles;  ///< SEXTANT_PROFILES; empty: not set
};

/// The scripts of a job array, of the job that merges after it, and one that submits both (bash; its
/// arguments go to sbatch). A task that a signal ended is requeued three times at most and resumes.
struct SlurmScripts {
  std::string array, merge, submit;
};
SlurmScripts slurm_sweep(const SweepJobs&, const SlurmPlaces&);

/// What a pod needs that the sweep does not know.
struct SweepPods {
  std::string name;      ///< of the objects, before kubernetes_name
  std::string image;     ///< has sextant on its path
  std::string claim;     ///< PersistentVolumeClaim, ReadWriteMany
  std::string scenario;  ///< the document as JSON, which pods find as scenario_in_pods
};
inline constexpr auto scenario_in_pods = "/sweep/scenario.json";

/// A ConfigMap with the scenario, an Indexed Job of the shards and a Job that waits for their rows and
/// merges, as YAML.
std::string kubernetes_sweep(const SweepJobs&, const SweepPods&);

}  // namespace sextant
