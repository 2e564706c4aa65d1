#pragma once
#include <string>
#include <vector>

namespace sextant::nccl {

/// One GPU of the run as the others see it.
struct RankPlace {
  std::string host;
  std::string bus_id;  ///< "0000:18:00.0"
  std::string device_name;
  int device = 0;  ///< CUDA's number in its process
  int pid = 0;
};

/// The link that joins GPUs of this host: "nvlink" when the driver says so for every pair of them (P2P
/// status, or both on an NVSwitch, which a virtual machine may hide from it), else "pcie". Throws InputError
/// when NVML cannot be loaded.
std::string link_on_host(const std::vector<std::string>& bus_ids);

/// The network that joins hosts, from /sys/class/infiniband and NCCL_IB_DISABLE: "ib", "roce", or "tcp"
/// without an active RDMA port.
std::string link_between_hosts();

/// The slowest class that a group's members meet: between hosts if they are on several, else on the host.
std::string link_of_group(const std::vector<RankPlace>& members);

}  // namespace sextant::nccl
