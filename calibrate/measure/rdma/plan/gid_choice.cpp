#include "calibrate/measure/rdma/plan/gid_choice.hpp"

#include <arpa/inet.h>
#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"

namespace sextant::rdma {
namespace {

/// Higher is better.
int rank(const Gid& gid) {
  if (gid.type == GidType::roce_v2) return gid.is_ipv4() ? 4 : gid.is_link_local() ? 2 : 3;
  return gid.type == GidType::infiniband ? 1 : 0;
}

std::string table_text(const std::vector<Gid>& table) {
  std::string text;
  constexpr std::size_t most_shown = 8;
  for (std::size_t i = 0; i < std::min(table.size(), most_shown); ++i)
    text +=
        fmt::format("{}{} ({} {})", i == 0 ? "" : ", ", table[i].index, name(table[i].type), table[i].text());
  return table.size() > most_shown ? text + ", …" : text;
}

}  // namespace

std::string name(GidType type) {
  switch (type) {
    case GidType::infiniband:
      return "IB";
    case GidType::roce_v1:
      return "RoCE v1";
    case GidType::roce_v2:
      return "RoCE v2";
  }
  return {};
}

bool Gid::is_ipv4() const {
  constexpr std::size_t zeros = 10;
  return std::all_of(bytes.begin(), bytes.begin() + zeros, [](std::uint8_t byte) { return byte == 0; }) &&
         bytes[zeros] == 0xff && bytes[zeros + 1] == 0xff;
}

bool Gid::is_link_local() const {
  return bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::string Gid::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  return inet_ntop(AF_INET6, bytes.data(), buffer.data(), buffer.size()) != nullptr ? buffer.data() : "?";
}

Gid choose_gid(const std::vector<Gid>& table, std::optional<int> index, const std::string& device) {
  if (table.empty())
    throw InputError(fmt::format(
        "{}: found no GID, expected one: is the port up and has its interface an address?", device));
  if (index) {
    for (const Gid& gid : table)
      if (gid.index == *index) return gid;
    throw InputError(fmt::format("{}: found no GID with index {} (-x), expected one of {}", device, *index,
                                 table_text(table)));
  }
  return *std::max_element(table.begin(), table.end(),
                           [](const Gid& a, const Gid& b) { return rank(a) < rank(b); });
}

std::string gid_mismatch(const Gid& client, const Gid& server) {
  const auto words = [](const Gid& gid) {
    return fmt::format("GID {} ({} {})", gid.index, name(gid.type), gid.text());
  };
  const auto differ = [&](const char* what) {
    return fmt::format("{} differ: {} at the client, {} at the server; choose with -x", what, words(client),
                       words(server));
  };
  if (client.type != server.type) return differ("kinds of address");
  if (client.type == GidType::roce_v2 && client.is_ipv4() != server.is_ipv4()) return differ("IP versions");
  return {};
}

}  // namespace sextant::rdma
