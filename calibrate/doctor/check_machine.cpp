#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calibrate/doctor/doctor.hpp"

namespace sextant {
namespace {

constexpr auto this_machine = "this machine";

std::vector<PcieLink> links_of(const std::vector<PciDevice>& devices) {
  std::vector<PcieLink> links;
  for (const PciDevice& device : devices) links.push_back(device.link);
  return links;
}

}  // namespace

void Doctor::look_at_machine(const MachineFacts& facts) {
  machine_ = facts;
  look_at_adapters(facts);
  look_at_modules(facts);
  look_at_ports(facts.ports, this_machine);
  for (const RdmaPort& port : facts.ports) {
    if (port.state != "ACTIVE" || port.link_layer != "Ethernet") continue;
    const auto found = facts.interface_mtu.find(port.interface);
    look_at_mtu(port, found == facts.interface_mtu.end() ? std::nullopt : found->second, this_machine);
  }
  look_at_pcie(links_of(facts.adapters), this_machine);
  look_at_pcie(links_of(facts.gpus), this_machine);
  look_at_numa(facts);
  look_at_permissions(facts);
  look_at_ecn(facts);
}

void Doctor::look_at_adapters(const MachineFacts& facts) {
  if (facts.ports.empty()) {
    const bool expected =
        expectation_.several_nodes && !expectation_.transport.empty() && expectation_.transport != "tcp";
    if (facts.network_functions > 0)
      find("no-rdma-device", "RDMA",
           fmt::format("{} PCI functions of network cards and no RDMA device", facts.network_functions));
    else if (expected)
      find("no-rdma-device", "RDMA",
           fmt::format("no RDMA device, and the scenario's network is {}", expectation_.transport), {},
           {{"cluster.network.transport", "tcp"}, {"cluster.network.gpudirect", "false"}});
    else
      could_not_check("RDMA", "this machine has no RDMA device (sys/class/infiniband)");
    return;
  }
  pass(fmt::format("{} RDMA port{} ({})", facts.ports.size(), facts.ports.size() == 1 ? "" : "s",
                   this_machine));
  const bool spark =
      facts.product.find("Spark") != std::string::npos || facts.product.find("GB10") != std::string::npos;
  if (spark && facts.ports.size() == 4)
    find("twin-interfaces", facts.product, "four RDMA devices for two ports");
}

void Doctor::look_at_modules(const MachineFacts& facts) {
  if (!facts.modules_visible) return could_not_check("kernel modules", "sys/module is not there");
  const bool mellanox = facts.network_functions > 0 ||
                        std::any_of(facts.ports.begin(), facts.ports.end(),
                                    [](const RdmaPort& port) { return port.device.starts_with("mlx"); });
  if (mellanox || !facts.ports.empty()) {
    std::vector<std::string> needed = {"ib_uverbs"};
    if (mellanox) needed.emplace_back("mlx5_ib");
    for (const std::string& module : needed) {
      if (facts.modules.count(module) > 0)
        pass(fmt::format("module {} ({})", module, this_machine));
      else
        find("module-missing", module, "not in sys/module",
             {{"module", module}, {"source", "[playbook] no devices: the mlx5 modules"}});
    }
  }
  if (facts.gpus.empty() || facts.ports.empty() || !expectation_.gpudirect_possible) return;
  if (facts.modules.count("nvidia_peermem") > 0)
    pass(fmt::format("module nvidia_peermem ({})", this_machine));
  else
    find("peermem-missing", "GPUDirect RDMA",
         "nvidia_peermem is not loaded; whether DMA-BUF stands in does not show in sysfs", {},
         {{"cluster.network.gpudirect", "false"}});
}

void Doctor::look_at_numa(const MachineFacts& facts) {
  if (facts.gpus.empty() || facts.adapters.empty()) return;
  const bool known =
      std::all_of(facts.gpus.begin(), facts.gpus.end(), [](const PciDevice& gpu) { return gpu.numa >= 0; }) &&
      std::all_of(facts.adapters.begin(), facts.adapters.end(),
                  [](const PciDevice& nic) { return nic.numa >= 0; });
  if (!known)
    return could_not_check("NUMA nodes of GPUs and NICs",
                           "numa_node is -1: one node, or the firmware does not tell");
  for (const PciDevice& gpu : facts.gpus) {
    const bool near = std::any_of(facts.adapters.begin(), facts.adapters.end(),
                                  [&](const PciDevice& nic) { return nic.numa == gpu.numa; });
    if (near)
      pass(fmt::format("{}: a NIC on its NUMA node {} ({})", gpu.name, gpu.numa, this_machine));
    else
      find("wrong-numa", gpu.name,
           fmt::format("NUMA node {}, the nearest NIC {} on node {}", gpu.numa, facts.adapters.front().name,
                       facts.adapters.front().numa),
           {{"node", std::to_string(gpu.numa)}});
  }
}

void Doctor::look_at_permissions(const MachineFacts& facts) {
  constexpr unsigned others_read_write = 06;
  if (facts.ports.empty()) return;
  bool some = false, all = true;
  for (const DeviceFile& file : facts.device_files) {
    const bool needed = file.path.find("/uverbs") != std::string::npos || file.path.ends_with("/rdma_cm");
    if (!needed) continue;
    some = true;
    if ((file.mode & others_read_write) == others_read_write) continue;
    all = false;
    find("permissions", file.path, fmt::format("mode {:04o}", file.mode), {{"path", file.path}});
  }
  if (!some)
    return find("permissions", "/dev/infiniband", "no uverbs file", {{"path", "/dev/infiniband/uverbs*"}});
  if (all) pass(fmt::format("/dev/infiniband: readable and writable by all ({})", this_machine));
}

void Doctor::look_at_ecn(const MachineFacts& facts) {
  for (const RdmaPort& port : facts.ports) {
    if (port.state != "ACTIVE" || port.link_layer != "Ethernet") continue;
    const auto ecn = facts.ecn.find(port.interface);
    if (ecn == facts.ecn.end() || !ecn->second.first || !ecn->second.second) {
      could_not_check("ECN of " + port.name(),
                      "sys/class/net/" + port.interface + "/ecn is not there (MLNX_OFED shows it)");
      continue;
    }
    const auto [np, rp] = ecn->second;
    if (*np && *rp)
      pass(fmt::format("{}: ECN on ({})", port.name(), this_machine));
    else
      find("ecn-off", port.name(), fmt::format("np {}, rp {}", *np ? "on" : "off", *rp ? "on" : "off"),
           {{"interface", port.interface}});
  }
  const bool roce = std::any_of(facts.ports.begin(), facts.ports.end(),
                                [](const RdmaPort& port) { return port.link_layer == "Ethernet"; });
  if (roce)
    could_not_check("PFC",
                    "sysfs does not show it; give --mlnx-qos with the output of mlnx_qos -i INTERFACE");
}

}  // namespace sextant
