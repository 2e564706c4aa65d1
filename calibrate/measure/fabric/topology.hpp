#pragma once
#include <string>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant::measure_fabric {

/// A device on PCIe: a GPU or a network card.
struct PcieDevice {
  std::string name;  ///< "mlx5_0"; a GPU's address
  std::string path;  ///< "/sys/devices/pci0000:15/0000:15:01.0/0000:16:00.0"; empty: not on PCIe
  int numa_node = -1;
};

/// An RDMA port as the kernel shows it.
struct Nic : PcieDevice {
  int port = 1;
  double rate_gbps = 0;
  bool active = false;
};

/// What one host has.
struct Inventory {
  std::string host;
  std::vector<Nic> nics;
  std::vector<PcieDevice> gpus;
  /// One line of JSON: the devices, and the distance of every GPU to every NIC.
  std::string write() const;
  static Inventory read(const JsonValue&);
};

/// As `nvidia-smi topo -m`: PIX (at most one bridge between them), PXB (several, no host bridge), PHB (one
/// host bridge), NODE (several of one NUMA node), SYS (across NUMA nodes, or unknown).
std::string pcie_distance(const PcieDevice&, const PcieDevice&);

/// Reads this host's devices below `sys` ("/sys").
Inventory take_inventory(const std::string& sys);

}  // namespace sextant::measure_fabric
