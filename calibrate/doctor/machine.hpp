#pragma once
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "calibrate/doctor/finding.hpp"
#include "calibrate/import/rdma_facts.hpp"

namespace sextant {

/// A NIC or a GPU on the PCI bus.
struct PciDevice {
  std::string name;  ///< RDMA device ("mlx5_0") or "GPU 0000:17:00.0"
  PcieLink link;
  int numa = -1;  ///< -1: not told, or one node alone
};

/// A file under /dev/infiniband.
struct DeviceFile {
  std::string path;
  unsigned mode = 0;  ///< permission bits
};

/// What the running machine (or a copy of its /sys and /dev) tells; empty is what it does not.
struct MachineFacts {
  std::string root;  ///< "/" or the folder that holds the copy
  std::string product;
  bool modules_visible = false, pci_visible = false, network_visible = false;
  std::set<std::string> modules;
  std::vector<RdmaPort> ports;
  std::vector<PciDevice> adapters, gpus;
  int network_functions = 0;  ///< PCI functions of NVIDIA's (Mellanox's) network cards
  std::map<std::string, std::optional<int>> interface_mtu;
  std::vector<DeviceFile> device_files;
  std::map<std::string, std::pair<std::optional<bool>, std::optional<bool>>> ecn;  ///< interface -> np, rp on
};

/// Reads sys/ and dev/ under `root`. Takes whatever is there: missing, binary, huge or special files are as
/// if they were absent. Throws InputError if `root` is no folder.
MachineFacts read_machine(const std::string& root);

}  // namespace sextant
