#pragma once
#include <array>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace sextant {

/// One entry of a port's GID table.
struct GidEntry {
  int index = 0;
  std::string gid;        ///< "0000:0000:0000:0000:0000:ffff:c0a8:6401" or "::ffff:192.168.100.1"
  std::string type;       ///< "RoCE v1" (also "IB/RoCE v1"), "RoCE v2"; empty if not told
  std::string interface;  ///< network interface; empty if not told

  bool roce_v2() const { return type.find("v2") != std::string::npos; }
  /// An IPv4 address in IPv6's clothes, which routes and which NCCL takes.
  bool ipv4() const;
};

/// A port of an RDMA device, as sysfs, ibstat and ibv_devinfo tell of it; empty or absent is what they do
/// not.
struct RdmaPort {
  std::string device;  ///< "mlx5_0"
  int port = 1;
  std::string state;                ///< upper case: ACTIVE, DOWN, INIT, ARMED
  std::string physical_state;       ///< LinkUp, Polling, Disabled
  std::string link_layer;           ///< Ethernet, InfiniBand
  std::string interface;            ///< its network interface
  std::optional<double> rate_gbps;  ///< Gbit/s
  std::optional<int> mtu;           ///< RDMA's, bytes
  std::vector<GidEntry> gids;

  std::string name() const { return device + " port " + std::to_string(port); }
};

/// A PCIe link as it is and as its device could have it.
struct PcieLink {
  std::string address;                                 ///< "0000:17:00.0"
  std::string name;                                    ///< what it is, in words
  std::optional<double> speed_gts, highest_speed_gts;  ///< GT/s a lane
  std::optional<int> lanes, most_lanes;
};

/// What a NIC does with RoCE's packets so that none is lost.
struct QosFacts {
  std::string trust;                       ///< dscp, pcp
  std::optional<std::array<bool, 8>> pfc;  ///< by priority
  std::map<int, int> priority_of_dscp;
};

// One reader for each tool; each throws InputError naming the file for what is not that tool's output.

std::vector<RdmaPort> read_ibstat(const std::string& path);
/// ibv_devinfo, with or without -v; only -v tells rate and GIDs.
std::vector<RdmaPort> read_ibv_devinfo(const std::string& path);
/// mlnx_qos -i INTERFACE.
QosFacts read_mlnx_qos(const std::string& path);
/// lspci -vv (as root: without, the links are not told). Devices without a link are left out.
std::vector<PcieLink> read_lspci(const std::string& path);

namespace detail {
/// "16GT/s" or "16.0 GT/s PCIe" -> 16; nullopt for other text.
std::optional<double> transfer_rate(std::string_view text);
}  // namespace detail
}  // namespace sextant
