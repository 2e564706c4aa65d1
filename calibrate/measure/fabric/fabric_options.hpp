#pragma once
#include <string>
#include <vector>

namespace sextant::measure_fabric {

/// The command line of `sextant-measure fabric`.
struct Options {
  bool help = false, list = false, describe = false, resume = false, every_nic = false;
  std::string hosts_file;
  std::string launch;   ///< how a command starts on a host; empty: srun in a Slurm job, else mpirun, else ssh
  std::string mpi;      ///< how one process for each GPU starts on two hosts; empty: as launch's tool does it
  std::string program;  ///< sextant-measure on the hosts; empty: this one's path
  std::string output;
  std::vector<std::string> parts = {"tcp", "rdma", "nccl"};
  std::string sizes = "2,64K,8M";
  std::string streams = "1,8";
  double seconds = 1;                  ///< of each point
  int port = 18600;                    ///< of the first conversation
  std::vector<std::string> arguments;  ///< as given
};

/// Reads the arguments after `fabric`. Throws InputError naming the option, what was found and what is
/// expected.
Options parse_options(const std::vector<std::string>& arguments);

/// What `--help` prints, with working examples.
std::string help_text();

/// The launcher that fits the surroundings: `srun` inside a Slurm job, `mpirun` where it is on PATH, else
/// `ssh`.
std::string usual_launcher(bool in_slurm_job, bool has_mpirun);

}  // namespace sextant::measure_fabric
