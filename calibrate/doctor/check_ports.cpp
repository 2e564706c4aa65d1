#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calibrate/doctor/doctor.hpp"

namespace sextant {
namespace {

constexpr double mbits_per_gbit = 1000;
constexpr double least_share = 0.99;  // rates are nominal: 97 of 100 is another rate, 99.9 is rounding

std::string or_word(const std::string& text, const char* word) {
  return text.empty() ? word : text;
}

}  // namespace

void Doctor::look_at_ports(const std::vector<RdmaPort>& ports, const std::string& where) {
  ports_.insert(ports_.end(), ports.begin(), ports.end());
  const auto is_active = [](const RdmaPort& port) { return port.state == "ACTIVE"; };
  const bool some_active = std::any_of(ports.begin(), ports.end(), is_active);
  double fastest = 0;
  for (const RdmaPort& port : ports)
    if (is_active(port) && port.rate_gbps) fastest = std::max(fastest, *port.rate_gbps);
  for (const RdmaPort& port : ports) {
    if (port.state.empty()) {
      could_not_check(port.name(), fmt::format("{} does not tell its state", where));
      continue;
    }
    const Words words = {{"interface", or_word(port.interface, "INTERFACE")}};
    if (!is_active(port)) {
      find(some_active ? "port-unused" : "port-down", port.name(),
           fmt::format("{}{} ({})", port.state, port.physical_state.empty() ? "" : ", " + port.physical_state,
                       where),
           words);
      continue;
    }
    if (expectation_.port_gbps)
      look_at_rate(port, *expectation_.port_gbps, expectation_.port_source, where);
    else if (fastest > 0 && ports.size() > 1)
      look_at_rate(port, fastest, "as the fastest other port of this machine", where);
    else
      could_not_check("rate of " + port.name(),
                      fmt::format("{}, but what it should be is not known; give a scenario or --rate-gbps",
                                  port.rate_gbps ? fmt::format("it runs at {:g} Gbit/s", *port.rate_gbps)
                                                 : where + " does not tell it"));
    look_at_link_layer(port, where);
    look_at_gids(port, where);
    if (port.mtu) look_at_mtu(port, std::nullopt, where);
  }
}

void Doctor::look_at_rate(const RdmaPort& port, double expected, const std::string& why,
                          const std::string& where) {
  if (!port.rate_gbps) return could_not_check("rate of " + port.name(), where + " does not tell it");
  if (*port.rate_gbps >= least_share * expected)
    return pass(fmt::format("{}: {:g} Gbit/s ({})", port.name(), *port.rate_gbps, where));
  std::vector<ScenarioChange> changes;
  if (const std::string nic = nic_of_rate(*port.rate_gbps); !nic.empty())
    changes = {{"cluster.nodes[*].nic", nic}};
  find("port-half-rate", port.name(), fmt::format("{:g} Gbit/s ({})", *port.rate_gbps, where),
       {{"gbps", fmt::format("{:g}", expected)},
        {"mbps", fmt::format("{:g}", expected * mbits_per_gbit)},
        {"why", why},
        {"interface", or_word(port.interface, "INTERFACE")}},
       changes);
}

void Doctor::look_at_link_layer(const RdmaPort& port, const std::string& where) {
  if (port.link_layer.empty() || expectation_.transport.empty() || expectation_.transport == "tcp") return;
  const bool infiniband = expectation_.transport == "ib";
  const std::string expected = infiniband ? "InfiniBand" : "Ethernet";
  if (port.link_layer == expected)
    return pass(fmt::format("{}: link layer {} ({})", port.name(), expected, where));
  find("link-layer", port.name(), fmt::format("{} ({})", port.link_layer, where),
       {{"expected", expected},
        {"transport", expectation_.transport},
        {"device", port.device},
        {"type", infiniband ? "1" : "2"}},
       {{"cluster.network.transport", infiniband ? "roce" : "ib"}});
}

void Doctor::look_at_gids(const RdmaPort& port, const std::string& where) {
  if (port.link_layer != "Ethernet") return;
  if (port.gids.empty()) return could_not_check("GID table of " + port.name(), where + " does not tell it");
  const auto right = std::find_if(port.gids.begin(), port.gids.end(),
                                  [](const GidEntry& entry) { return entry.roce_v2() && entry.ipv4(); });
  if (right == port.gids.end())
    return find(
        "no-roce-v2-gid", port.name(),
        fmt::format("{} entries, none of them RoCE v2 with an IPv4 address ({})", port.gids.size(), where),
        {{"interface", or_word(port.interface, "INTERFACE")}});
  const auto usual = static_cast<int>(symptoms_.threshold("gid_index"));
  const auto at_usual = std::find_if(port.gids.begin(), port.gids.end(),
                                     [&](const GidEntry& entry) { return entry.index == usual; });
  if (at_usual != port.gids.end() && at_usual->roce_v2() && at_usual->ipv4())
    return pass(fmt::format("{}: RoCE v2 over IPv4 at GID index {} ({})", port.name(), usual, where));
  find("gid-index", port.name(),
       fmt::format("RoCE v2 over IPv4 at index {}; index {} is {} ({})", right->index, usual,
                   at_usual == port.gids.end() ? "empty" : or_word(at_usual->type, "of unknown type"), where),
       {{"index", std::to_string(usual)}, {"set", ""}, {"right", std::to_string(right->index)}});
}

void Doctor::look_at_mtu(const RdmaPort& port, std::optional<int> interface_mtu, const std::string& where) {
  if (port.link_layer == "InfiniBand" && !port.mtu) return;
  const double net = symptoms_.threshold("net_mtu"), rdma = symptoms_.threshold("rdma_mtu");
  const bool small = port.mtu ? *port.mtu < rdma : interface_mtu && *interface_mtu < net;
  if (!port.mtu && !interface_mtu)
    return could_not_check("MTU of " + port.name(), where + " does not tell it");
  const std::string found = port.mtu ? fmt::format("RDMA MTU {}", *port.mtu)
                                     : fmt::format("MTU {} on {}", *interface_mtu, port.interface);
  if (!small) return pass(fmt::format("{}: {} ({})", port.name(), found, where));
  find("mtu-small", port.name(), fmt::format("{} ({})", found, where),
       {{"net_mtu", fmt::format("{:g}", net)},
        {"rdma_mtu", fmt::format("{:g}", rdma)},
        {"interface", or_word(port.interface, "INTERFACE")}});
}

void Doctor::look_at_qos(const QosFacts& facts, const std::string& where) {
  const auto priority = static_cast<std::size_t>(symptoms_.threshold("pfc_priority"));
  const auto dscp = static_cast<int>(symptoms_.threshold("dscp"));
  if (!facts.pfc)
    could_not_check("PFC", where + " does not tell it");
  else if ((*facts.pfc)[priority])
    pass(fmt::format("PFC on priority {} ({})", priority, where));
  else
    find("pfc-off", "PFC", fmt::format("off on priority {} ({})", priority, where));
  const auto mapped = facts.priority_of_dscp.find(dscp);
  if (facts.trust.empty())
    could_not_check("what the NIC trusts", where + " does not tell it");
  else if (facts.trust != "dscp")
    find("trust-pcp", "trust", fmt::format("{} ({})", facts.trust, where));
  else if (mapped != facts.priority_of_dscp.end() && mapped->second != static_cast<int>(priority))
    find("trust-pcp", "trust", fmt::format("DSCP {} on priority {} ({})", dscp, mapped->second, where));
  else
    pass(fmt::format("DSCP trusted ({})", where));
}

}  // namespace sextant
