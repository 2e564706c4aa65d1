#include "calibrate/measure/nccl/plan/launcher.hpp"

#include <fmt/core.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

struct LauncherWords {
  const char* launcher;
  const char* rank;
  const char* size;
  const char* local_rank;
  const char* job;
};
// Slurm last: mpirun inside an allocation sees SLURM_* of the allocation as well.
constexpr std::array launchers = {
    LauncherWords{"Open MPI", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
                  "PMIX_NAMESPACE"},
    LauncherWords{"PMI", "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "PMI_JOBID"},
    LauncherWords{"Slurm", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID", "SLURM_JOB_ID"},
};

int number(const std::string& name, const std::string& text, int least) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < least)
    throw InputError(
        fmt::format("environment: {} is \"{}\", expected a whole number from {}", name, text, least));
  return value;
}

}  // namespace

ProcessPlace process_place(const Environment& environment) {
  for (const LauncherWords& words : launchers) {
    const auto rank = environment(words.rank);
    if (!rank) continue;
    const auto size = environment(words.size);
    // An interactive Slurm shell has SLURM_PROCID but no step of several tasks.
    if (!size && std::string(words.launcher) == "Slurm") continue;
    if (!size)
      throw InputError(fmt::format("environment: {} is set but not {}, expected both from {}", words.rank,
                                   words.size, words.launcher));
    ProcessPlace place;
    place.launcher = words.launcher;
    place.rank = number(words.rank, *rank, 0);
    place.size = number(words.size, *size, 1);
    if (place.rank >= place.size)
      throw InputError(fmt::format("environment: {} is {} and {} is {}, expected a smaller rank", words.rank,
                                   place.rank, words.size, place.size));
    const auto local = environment(words.local_rank);
    if (local)
      place.local_rank = number(words.local_rank, *local, 0);
    else
      throw InputError(fmt::format("environment: {} is set but not {}, expected both from {}", words.rank,
                                   words.local_rank, words.launcher));
    place.job = environment(words.job).value_or("");
    if (std::string(words.launcher) == "Slurm")
      place.job = fmt::format("{}.{}", place.job, environment("SLURM_STEP_ID").value_or(""));
    return place;
  }
  return {};
}

std::optional<std::string> environment_variable(const std::string& name) {
  const char* value = std::getenv(name.c_str());
  if (!value) return std::nullopt;
  return value;
}

}  // namespace sextant::nccl
