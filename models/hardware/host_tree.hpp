#pragma once
#include <string>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// One machine's cards and what joins them, as a tool on it saw them.
struct HostTree {
  struct Device {
    std::string name;  ///< "gpu0", "mlx5_0", "root0"
    DeviceKind kind = DeviceKind::gpu;
    int parent = -1;  ///< index of what it is plugged into; -1: a root complex
    double gbps = 0;  ///< 10^9 B/s each way to the parent; 0: the tool does not say
  };
  /// NVLinks of a GPU to another one, or to the NVSwitches (`to` -1).
  struct Bundle {
    int from = 0;
    int to = -1;
    int links = 0;
  };
  std::string source;  ///< "lstopo machine.xml"
  std::vector<Device> devices;
  std::vector<Bundle> nvlinks;
  std::string cpu;  ///< amd, intel, other; empty: not said
};

/// Names that the tool does not give, and what a link of unknown speed carries.
struct HostParts {
  std::string node_name = "node-a";
  std::string node_type = "server-pcie";
  std::string gpu;         ///< catalogue name
  std::string nic;         ///< catalogue name; needed where there are NICs
  double socket_gbps = 0;  ///< between root complexes; needed where there are several
};

/// Reads what NCCL writes with NCCL_TOPO_DUMP_FILE. Throws InputError naming the file for text that is no
/// such XML.
HostTree read_nccl_topology(const std::string& xml, const std::string& file);

/// Reads what lstopo writes as XML (hwloc 2). Packages are root complexes; bridges with one device below are
/// ports, with several PCIe switches. It knows no NVLink. Throws InputError.
HostTree read_hwloc_topology(const std::string& xml, const std::string& file);

/// Makes a tree of `nvidia-smi topo -m` as `sextant import topology` keeps it, one JSON line: PIX is one
/// switch, PXB switches below another, PHB and NODE one root complex, SYS several. Throws InputError.
HostTree read_topology_line(const JsonValue&);

/// The cluster of this one node. Throws InputError for a link without a speed that the parts do not give
/// either.
Cluster cluster_of(const HostTree&, const HostParts&);

}  // namespace sextant
