#pragma once
#include <functional>
#include <optional>
#include <string>

namespace sextant::nccl {

/// This process among those that a launcher started.
struct ProcessPlace {
  int rank = 0, size = 1;
  int local_rank = 0;    ///< among the processes of this node
  std::string launcher;  ///< "Open MPI", "PMI", "Slurm"; empty: started by hand, alone
  std::string job;       ///< the same text in every process of this run, and in no other run on this node
};

using Environment = std::function<std::optional<std::string>(const std::string& name)>;

/// Reads OMPI_COMM_WORLD_* (Open MPI), PMI_* and MPI_LOCALRANKID (MPICH, Intel MPI), SLURM_PROCID and its kin
/// (srun). A rank without a size, or a text that is no number, throws InputError.
ProcessPlace process_place(const Environment&);

/// The environment of this process.
std::optional<std::string> environment_variable(const std::string& name);

}  // namespace sextant::nccl
