#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sextant::rdma {

enum class GidType { infiniband, roce_v1, roce_v2 };
std::string name(GidType);  ///< "IB", "RoCE v1", "RoCE v2"

/// One entry of a port's table of addresses.
struct Gid {
  int index = 0;
  GidType type = GidType::infiniband;
  std::array<std::uint8_t, 16> bytes{};
  bool is_ipv4() const;        ///< ::ffff:a.b.c.d
  bool is_link_local() const;  ///< fe80::/10
  std::string text() const;    ///< "::ffff:10.0.0.1"
};

/// The entry with that index, or the best there is: RoCE v2 with an IPv4 address, RoCE v2 with a routable
/// IPv6 address, RoCE v2, then anything; of equals the first. Throws InputError listing the table when the
/// index is not in it or the table is empty.
Gid choose_gid(const std::vector<Gid>& table, std::optional<int> index, const std::string& device);

/// Why the two cannot talk to each other; empty if they can.
std::string gid_mismatch(const Gid& client, const Gid& server);

}  // namespace sextant::rdma
