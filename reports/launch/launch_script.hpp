#pragma once
#include <string>

#include "reports/launch/engine_words.hpp"
#include "reports/launch/nccl_environment.hpp"

namespace sextant {

/// What a launch needs that a plan does not have.
struct LaunchChoices {
  std::string model;  ///< repository name or path of the checkpoint; empty: $MODEL at the launch
  std::string image;  ///< of containers (kubernetes)
  int port = 8000;    ///< of the first replica; the others follow
};

/// How a replica's processes on several nodes find each other.
enum class LaunchBackend { automatic, ray };

/// A bash script that every node runs: `launch.sh NODE HEAD_ADDRESS`, each part under its node's name, with
/// GPUs, NICs, environment and reasons. vLLM's replicas over nodes use its own multi-node processes where
/// every node has as many GPUs, else Ray. Throws InputError where the engine cannot be started so.
std::string launch_script(const Scenario&, const Candidate&, ServingEngine, LaunchBackend,
                          const LaunchChoices&);

/// An sbatch script that runs the same on a Slurm allocation, one task a node.
std::string slurm_launch(const Scenario&, const Candidate&, const LaunchChoices&);

/// LeaderWorkerSets (one a replica), a Service before them and comments on labels, as YAML. Throws InputError
/// without a model or an image, and where the workers of a replica would need different templates.
std::string kubernetes_launch(const Scenario&, const Candidate&, const LaunchChoices&);

namespace detail {

/// Comment lines: the plan in words, and what it takes for granted.
std::string launch_comments(const Scenario&, const Candidate&, ServingEngine);

/// `case $node in …` with each node's part.
std::string node_cases(const Scenario&, const Candidate&, ServingEngine, LaunchBackend, const LaunchChoices&);

/// NCCL's variables for the layout; none where no two GPUs work together.
std::vector<NcclVariable> launch_nccl(const Scenario&, const Candidate&);

}  // namespace detail
}  // namespace sextant
