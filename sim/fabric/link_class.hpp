#pragma once
#include <string>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// A class of link: the name of its profile, and how people call it.
struct LinkClass {
  std::string profile;  ///< "roce-200"
  std::string words;    ///< "RoCE 200 Gbit/s"
};

/// The generation of NVLink that carries so many 10^9 B/s each way: 300 "nvlink3" (A100), 450 "nvlink4"
/// (H100, H200), 900 "nvlink5" (B200); a rate between them, of a part with fewer links, is the next
/// generation up. Throws InputError above 900.
LinkClass nvlink_class(double gbps);

/// "pcie-gen5" from the least generation among the two GPUs and their node's slots; the lanes in the words
/// follow from the capacity of the path.
LinkClass pcie_class(const Gpu&, const Gpu&, const Node&, double gbps);

/// Transport and the rate of the slower NIC: "roce-200", "ib-400", "tcp-100"; DGX Sparks among themselves
/// over RoCE have "roce-spark-200", for their NIC is two halves behind PCIe Gen5 x4 each.
LinkClass network_class(const std::string& transport, const Nic&, const Nic&);

}  // namespace sextant
