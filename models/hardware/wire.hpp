#pragma once
#include <string>
#include <vector>

#include "models/base/figure.hpp"

namespace sextant {

/// How a transport packs data into packets.
struct Transport {
  std::string name;           ///< roce, ib, tcp
  std::vector<int> payloads;  ///< sizes a packet can carry, increasing; empty: whatever the MTU leaves
  Figure inside_mtu;          ///< headers that the MTU counts, bytes
  Figure around_mtu;          ///< and that it does not
};

/// Throws InputError naming the three.
const Transport& find_transport(const std::string& name);

/// Bytes of data in each full packet at that MTU (bytes of an Ethernet frame's content, or InfiniBand's own
/// MTU). Throws InputError where the smallest payload does not fit.
int packet_payload(const Transport&, int mtu);

/// The share of a line's rate that is left to data: RoCE at MTU 9000 carries 4096 of every 4178 bytes, 98.0
/// %.
double wire_efficiency(const std::string& transport, int mtu);

}  // namespace sextant
