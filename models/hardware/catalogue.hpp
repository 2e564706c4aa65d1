#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/base/figure.hpp"

namespace sextant {

/// A price seen somewhere on a date; never invented.
struct Price {
  double amount = 0;
  std::string currency;  ///< USD, EUR
  std::string date;
  std::string source;
};

/// A GPU as its maker and its driver describe it. Rates are per GPU; efficiencies live in profiles.
struct Gpu {
  std::string name;  ///< catalogue name: "rtx-pro-6000-server"
  std::string full_name;
  std::string form_factor;  ///< pcie, sxm, superchip (Grace and GPUs), soc (GB10): which hosts take it
  Figure memory_bytes;      ///< what the driver reports, not the name on the box
  std::optional<Figure> memory_gbps;  ///< 10^9 B/s
  std::map<std::string, Figure>
      dense_tflops;  ///< by type: bf16, fp16, fp8, int8, fp4; dense, FP32 accumulate
  std::map<std::string, Figure> sparse_tflops;
  std::optional<Figure> streaming_multiprocessors;
  std::optional<Figure> l2_bytes;
  std::optional<Figure> power_watts;                              ///< default limit
  std::optional<Figure> lowest_power_watts, highest_power_watts;  ///< limits it can be set to
  std::optional<Figure> highest_clock_mhz;                        ///< of the multiprocessors
  std::string compute_capability;                                 ///< "12.0"; empty if unknown
  int pcie_generation = 0;                                        ///< 0: not on PCIe
  int pcie_lanes = 0;
  std::optional<Figure> nvlink_gbps;  ///< 10^9 B/s per direction; nullopt: none
  std::optional<Figure>
      host_gbps;               ///< 10^9 B/s per direction to the host where it is not PCIe (chip to chip)
  bool gpudirect_rdma = true;  ///< false where the part cannot (GB10)
  std::vector<Price> prices;
  std::vector<std::string> notes;  ///< conflicts between sources
  std::vector<std::string> sources;
};

/// A network card, as one port configuration of it.
struct Nic {
  std::string name;  ///< "connectx-7-200"
  std::string full_name;
  Figure rate_gbits;  ///< Gbit/s of all its ports together
  int ports = 1;
  int pcie_generation = 0;
  int pcie_lanes = 0;
  std::vector<Price> prices;
};

/// Equal ports of a switch.
struct SwitchPort {
  double gbits = 0;
  int count = 0;
  int splits = 1;  ///< slower ports that one becomes by a breakout cable, at most
};

/// An Ethernet or InfiniBand switch.
struct Switch {
  std::string name;
  std::string full_name;
  Figure capacity_gbits;  ///< all ports, one direction
  std::optional<Figure> latency_us;
  std::optional<Figure> power_watts;
  std::vector<SwitchPort> ports;  ///< empty: not known
  std::vector<Price> prices;
};

/// A host into which GPUs are put: how they are joined inside.
struct NodeType {
  std::string name;  ///< "workstation", "hgx", "dgx-spark"
  std::string description;
  std::string gpu_link;  ///< "nvlink": all GPUs on one NVSwitch; "pcie": each on its own root port
  std::vector<std::string> form_factors;  ///< of the GPUs it takes
  bool peer_to_peer = true;               ///< PCIe: GPUs reach each other without staging in host memory
  int max_gpus = 8;
  int pcie_generation = 5;
  int pcie_lanes = 16;
  Figure link_latency_us;  ///< of one PCIe or NVLink hop
  std::string source;
};

/// Each throws InputError naming the known entries and the nearest.
const Gpu& find_gpu(const std::string& name);
const Nic& find_nic(const std::string& name);
const Switch& find_switch(const std::string& name);
const NodeType& find_node_type(const std::string& name);

/// The whole catalogue, read once from the embedded files.
struct HardwareCatalogue {
  std::vector<Gpu> gpus;
  std::vector<Nic> nics;
  std::vector<Switch> switches;
  std::vector<NodeType> node_types;
  std::vector<std::string> notes;  ///< parts that fit none of the lists
};
const HardwareCatalogue& hardware_catalogue();

/// The memory bandwidth in 10^9 B/s. Throws InputError for a GPU of which none is trustworthy.
double memory_gbps(const Gpu&);

/// 10^9 B/s each way of a PCIe link: lanes x GT/s x 128b/130b (8b/10b for generations 1 and 2).
/// Throws InputError unless the generation is 1 to 6 and the lanes 1 to 16.
double pcie_gbps(int generation, int lanes);

}  // namespace sextant
