#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "calibrate/doctor/doctor.hpp"
#include "calibrate/import/foreign.hpp"

namespace sextant {
namespace {

constexpr std::array<const char*, 7> needed_variables = {
    "NCCL_IB_DISABLE",    "NCCL_NET_GDR_LEVEL", "NCCL_IB_HCA", "NCCL_IB_GID_INDEX",
    "NCCL_SOCKET_IFNAME", "NCCL_BUFFSIZE",      "NCCL_DEBUG"};

/// How many pairs go by a transport that starts like this, and the first of them.
struct Ways {
  int pairs = 0;
  std::string first;  ///< "0 -> 1 via NET/Socket/0"
};

template <class Matches>
Ways ways(const NcclLogFacts& facts, Matches matches) {
  Ways found;
  for (const auto& [pair, transports] : facts.transports)
    for (const auto& [transport, channels] : transports)
      if (matches(transport)) {
        ++found.pairs;
        if (found.first.empty())
          found.first = fmt::format("{} -> {} via {}", pair.first, pair.second, transport);
        break;
      }
  return found;
}

bool is_set(const NcclLogFacts& facts, const std::string& variable, const std::string& value) {
  const auto found = facts.environment.find(variable);
  return found != facts.environment.end() && found->second == value;
}

std::string pairs_text(const Ways& found, const std::string& where) {
  return fmt::format("{}{} ({})", found.first,
                     found.pairs > 1 ? fmt::format(" and {} more", found.pairs - 1) : "", where);
}

/// The names in NCCL_IB_HCA or NCCL_SOCKET_IFNAME, without '=' and ports; empty where they are to be left out
/// ('^').
std::vector<std::string> listed_names(std::string_view list) {
  std::vector<std::string> names;
  if (list.starts_with('^')) return names;
  if (list.starts_with('=')) list.remove_prefix(1);
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    const std::string_view name = list.substr(0, comma);
    if (!name.empty()) names.emplace_back(name.substr(0, name.find(':')));
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return names;
}

}  // namespace

void Doctor::look_at_nccl_log(const NcclLogFacts& facts, const std::string& where) {
  if (facts.transports.empty())
    return could_not_check(
        "transports",
        where + " has no 'via' lines: the log ends before NCCL connects, or NCCL_DEBUG was not INFO");
  look_inside_nodes(facts, where);
  look_between_nodes(facts, where);
  for (const auto& [adapter, rate] : facts.adapter_gbps) {
    RdmaPort port;
    port.device = adapter;
    port.rate_gbps = rate;
    if (expectation_.port_gbps)
      look_at_rate(port, *expectation_.port_gbps, expectation_.port_source, where);
    else
      could_not_check(
          "rate of " + adapter,
          fmt::format(
              "{} says {:g} Gbit/s, but what it should be is not known; give a scenario or --rate-gbps",
              where, rate));
  }
  look_at_names(facts, where);
  if (!facts.first_warning.empty())
    find("nccl-warning", "NCCL", fmt::format("{} ({})", facts.first_warning, where));
}

void Doctor::look_inside_nodes(const NcclLogFacts& facts, const std::string& where) {
  const Ways shared = ways(facts, [](const std::string& by) { return by.starts_with("SHM"); });
  const Ways peers = ways(facts, [](const std::string& by) { return by.starts_with("P2P"); });
  const Ways network = ways(facts, [](const std::string& by) { return by.starts_with("NET/"); });
  if (facts.node_count() == 1 && network.pairs > 0)
    find("network-inside-node", "inside the node", pairs_text(network, where), {},
         {{"cluster.nodes[*].peer_to_peer", "false"}});
  if (shared.pairs > 0) {
    if (!expectation_.peers)
      return pass(fmt::format("shared memory inside the node, as the scenario has it ({})", where));
    const bool disabled = is_set(facts, "NCCL_P2P_DISABLE", "1");
    find("peers-staged", "inside the node",
         pairs_text(shared, where) + (disabled ? "; NCCL_P2P_DISABLE=1 is set" : ""),
         {{"mend", disabled ? "unset NCCL_P2P_DISABLE"
                            : "export NCCL_P2P_LEVEL=SYS; BIOS: ACS and IOMMU translation off; consumer "
                              "cards' drivers forbid it: nvidia-smi topo -p2p r"}},
         {{"cluster.nodes[*].peer_to_peer", "false"}});
  } else if (peers.pairs > 0) {
    pass(fmt::format("P2P inside nodes: pairs: {} ({})", peers.pairs, where));
  }
}

void Doctor::look_between_nodes(const NcclLogFacts& facts, const std::string& where) {
  if (facts.node_count() == 1) return;
  const Ways sockets = ways(facts, [](const std::string& by) { return by.starts_with("NET/Socket"); });
  const Ways staged = ways(facts, [](const std::string& by) {
    return by.starts_with("NET/IB") && by.find("GDRDMA") == std::string::npos;
  });
  const Ways direct =
      ways(facts, [](const std::string& by) { return by.find("GDRDMA") != std::string::npos; });
  if (sockets.pairs + staged.pairs + direct.pairs == 0)
    return facts.node_count() > 1
               ? could_not_check("network between nodes", where + " names no transfer between them")
               : void();
  const bool gpudirect = sockets.pairs + staged.pairs == 0;
  if (sockets.pairs > 0) {
    if (expectation_.transport == "tcp") {
      pass(fmt::format("sockets between nodes, as the scenario has it ({})", where));
    } else {
      const bool disabled = is_set(facts, "NCCL_IB_DISABLE", "1") || is_set(facts, "NCCL_NET", "Socket");
      find("socket-between-nodes", "between nodes",
           pairs_text(sockets, where) +
               (disabled ? "; RDMA is switched off by NCCL_IB_DISABLE or NCCL_NET" : ""),
           {{"mend", disabled ? "export NCCL_IB_DISABLE=0; unset NCCL_NET"
                              : "ibv_devices; modprobe mlx5_ib ib_uverbs; export NCCL_IB_DISABLE=0 "
                                "NCCL_IB_HCA=mlx5_0; in a container --device=/dev/infiniband"}},
           {{"cluster.network.transport", "tcp"}, {"cluster.network.gpudirect", "false"}});
    }
  }
  if (staged.pairs > 0) {
    if (!expectation_.gpudirect_possible) {
      find("gpudirect-impossible", "between nodes", pairs_text(staged, where));
    } else {
      std::vector<std::string> refused;
      for (const auto& [adapter, enabled] : facts.adapter_gdr)
        if (!enabled) refused.push_back(adapter);
      std::string found = pairs_text(staged, where);
      if (!refused.empty())
        found += fmt::format("; GPU Direct RDMA Disabled for {}", fmt::join(refused, ", "));
      if (!facts.gdr_refused.empty()) found += "; refused for " + facts.gdr_refused;
      find("gpudirect-off", "between nodes", found,
           {{"mend",
             refused.empty()
                 ? "export NCCL_NET_GDR_LEVEL=SYS"
                 : "modprobe nvidia_peermem (or a driver with DMA-BUF), then export NCCL_NET_GDR_LEVEL=SYS"}},
           {{"cluster.network.gpudirect", "false"}});
    }
  }
  if (gpudirect)
    pass(fmt::format("GPUDirect RDMA active between nodes: pairs by GDRDMA: {}, by others: none ({})",
                     direct.pairs, where));
  if (is_set(facts, "NCCL_IB_DISABLE", "1") && expectation_.transport != "tcp")
    find("rdma-disabled", "NCCL_IB_DISABLE", fmt::format("NCCL_IB_DISABLE=1 ({})", where));
  if (expectation_.transport != "tcp") look_at_variables(facts, gpudirect, where);
}

void Doctor::look_at_variables(const NcclLogFacts& facts, bool gpudirect, const std::string& where) {
  std::vector<std::string> missing;
  for (const char* variable : needed_variables)
    // A log of NCCL_DEBUG=INFO is itself the proof of NCCL_DEBUG.
    if (variable != std::string("NCCL_DEBUG") && facts.environment.count(variable) == 0)
      missing.emplace_back(variable);
  const bool infiniband = facts.link() == "ib";
  if (infiniband) std::erase(missing, "NCCL_IB_GID_INDEX");
  if (missing.empty()) return pass(fmt::format("the variables for GPUDirect RDMA are set ({})", where));
  find(gpudirect ? "variables-not-needed" : "variables-missing", "environment",
       fmt::format("{} not set ({})", fmt::join(missing, ", "), where));
}

void Doctor::look_at_names(const NcclLogFacts& facts, const std::string& where) {
  if (!machine_) return;
  std::vector<std::string> adapters, interfaces;
  for (const RdmaPort& port : machine_->ports) adapters.push_back(port.device);
  for (const auto& [name, mtu] : machine_->interface_mtu)
    if (name != "lo") interfaces.push_back(name);
  for (const auto& [variable, present] :
       {std::pair{"NCCL_IB_HCA", adapters}, {"NCCL_SOCKET_IFNAME", interfaces}}) {
    const auto set = facts.environment.find(variable);
    if (set == facts.environment.end() || present.empty()) continue;
    for (const std::string& name : listed_names(set->second)) {
      const bool there = std::any_of(present.begin(), present.end(),
                                     [&](const std::string& one) { return one.starts_with(name); });
      if (!there)
        find("device-renamed", variable, fmt::format("{}={} ({})", variable, set->second, where),
             {{"variable", variable}, {"present", fmt::format("{}", fmt::join(present, ","))}});
    }
  }
  const auto index = facts.environment.find("NCCL_IB_GID_INDEX");
  if (index == facts.environment.end()) return;
  const long long given = detail::whole_number(index->second);
  for (const RdmaPort& port : machine_->ports) {
    if (port.state != "ACTIVE" || port.link_layer != "Ethernet" || port.gids.empty()) continue;
    const GidEntry* right = nullptr;
    bool fits = false;
    for (const GidEntry& entry : port.gids) {
      const bool good = entry.roce_v2() && entry.ipv4();
      if (good && !right) right = &entry;
      fits = fits || (good && entry.index == given);
    }
    if (right && !fits)
      find("gid-index", port.name(),
           fmt::format("NCCL_IB_GID_INDEX={} is no RoCE v2 entry over IPv4; {} is ({})", index->second,
                       right->index, where),
           {{"index", index->second},
            {"set", ", as NCCL_IB_GID_INDEX says"},
            {"right", std::to_string(right->index)}});
  }
}

}  // namespace sextant
