#include "calibrate/doctor/machine.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>

#include "calibrate/doctor/sysfs.hpp"
#include "calibrate/import/foreign.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

constexpr int vendor_mellanox = 0x15b3, vendor_nvidia = 0x10de;
constexpr int class_network = 0x02, class_display = 0x03;  // the upper byte of a PCI class

/// "4: ACTIVE" -> "ACTIVE"
std::string after_colon(const std::string& text) {
  const std::size_t at = text.find(": ");
  return at == std::string::npos ? text : text.substr(at + 2);
}

/// "200 Gb/sec (4X HDR)" -> 200
std::optional<double> rate_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string_view rest(end, static_cast<std::size_t>(text.data() + text.size() - end));
  if (error != std::errc() || !(value > 0) || value > 1e5 || !rest.starts_with(" Gb/sec"))
    return std::nullopt;
  return value;
}

PcieLink read_pcie(const FileTree& tree, const std::string& folder) {
  PcieLink link;
  const auto rate = [&](const char* file) -> std::optional<double> {
    const auto text = tree.line(folder + file);
    return text ? detail::transfer_rate(*text) : std::nullopt;
  };
  const auto width = [&](const char* file) -> std::optional<int> {
    const auto lanes = tree.number(folder + file);
    return lanes && *lanes >= 1 && *lanes <= 32 ? lanes : std::nullopt;
  };
  link.speed_gts = rate("/current_link_speed");
  link.highest_speed_gts = rate("/max_link_speed");
  link.lanes = width("/current_link_width");
  link.most_lanes = width("/max_link_width");
  return link;
}

std::vector<GidEntry> read_gids(const FileTree& tree, const std::string& port) {
  std::vector<GidEntry> gids;
  for (const std::string& name : tree.names(port + "/gids")) {
    const long long index = detail::whole_number(name);
    const auto gid = tree.line(port + "/gids/" + name);
    if (index < 0 || index > 65535 || !gid || gid->find_first_not_of("0:") == std::string::npos) continue;
    gids.push_back({static_cast<int>(index), *gid, tree.line(port + "/gid_attrs/types/" + name).value_or(""),
                    tree.line(port + "/gid_attrs/ndevs/" + name).value_or("")});
  }
  std::sort(gids.begin(), gids.end(), [](const GidEntry& a, const GidEntry& b) { return a.index < b.index; });
  return gids;
}

RdmaPort read_port(const FileTree& tree, const std::string& device, const std::string& number) {
  const std::string folder = "sys/class/infiniband/" + device + "/ports/" + number;
  RdmaPort port;
  port.device = device;
  port.port = static_cast<int>(detail::whole_number(number));
  port.state = after_colon(tree.line(folder + "/state").value_or(""));
  port.physical_state = after_colon(tree.line(folder + "/phys_state").value_or(""));
  port.link_layer = tree.line(folder + "/link_layer").value_or("");
  if (const auto rate = tree.line(folder + "/rate")) port.rate_gbps = rate_of(*rate);
  port.gids = read_gids(tree, folder);
  for (const GidEntry& entry : port.gids)
    if (port.interface.empty()) port.interface = entry.interface;
  if (port.interface.empty())
    for (const std::string& name : tree.names("sys/class/infiniband/" + device + "/device/net"))
      if (port.interface.empty()) port.interface = name;
  if (port.interface.empty())
    port.interface = tree.line("sys/class/infiniband/" + device + "/parent").value_or("");
  return port;
}

void read_rdma(const FileTree& tree, MachineFacts& facts) {
  for (const std::string& device : tree.names("sys/class/infiniband")) {
    for (const std::string& number : tree.names("sys/class/infiniband/" + device + "/ports"))
      if (detail::whole_number(number) >= 1 && detail::whole_number(number) < 256)
        facts.ports.push_back(read_port(tree, device, number));
    const std::string folder = "sys/class/infiniband/" + device + "/device";
    if (!tree.folder(folder)) continue;  // rxe and siw have none
    PciDevice adapter{device, read_pcie(tree, folder), tree.number(folder + "/numa_node").value_or(-1)};
    adapter.link.address = tree.link_target(folder);
    adapter.link.name = device;
    facts.adapters.push_back(std::move(adapter));
  }
}

void read_pci(const FileTree& tree, MachineFacts& facts) {
  constexpr int class_shift = 16;
  facts.pci_visible = tree.folder("sys/bus/pci/devices");
  for (const std::string& address : tree.names("sys/bus/pci/devices")) {
    const std::string folder = "sys/bus/pci/devices/" + address;
    const int vendor = tree.number(folder + "/vendor").value_or(0);
    const int kind = tree.number(folder + "/class").value_or(0) >> class_shift;
    if (vendor == vendor_mellanox && kind == class_network) ++facts.network_functions;
    if (vendor != vendor_nvidia || kind != class_display) continue;
    PciDevice gpu{"GPU " + address, read_pcie(tree, folder), tree.number(folder + "/numa_node").value_or(-1)};
    gpu.link.address = address;
    gpu.link.name = gpu.name;
    facts.gpus.push_back(std::move(gpu));
  }
}

void read_network(const FileTree& tree, MachineFacts& facts) {
  facts.network_visible = tree.folder("sys/class/net");
  for (const std::string& name : tree.names("sys/class/net")) {
    const std::string folder = "sys/class/net/" + name;
    if (!tree.folder(folder)) continue;  // bonding_masters is a file
    facts.interface_mtu[name] = tree.number(folder + "/mtu");
    const auto on = [&](const char* side) -> std::optional<bool> {
      const auto value = tree.number(folder + "/ecn/" + side + "/enable/3");
      return value ? std::optional(*value != 0) : std::nullopt;
    };
    if (tree.folder(folder + "/ecn")) facts.ecn[name] = {on("roce_np"), on("roce_rp")};
  }
}

}  // namespace

MachineFacts read_machine(const std::string& root) {
  const FileTree tree(root);
  if (!tree.folder(""))
    throw InputError(fmt::format("--root: found no folder {}, expected one that holds sys and dev", root));
  MachineFacts facts;
  facts.root = root;
  facts.product = tree.line("sys/class/dmi/id/product_name").value_or("");
  facts.modules_visible = tree.folder("sys/module");
  for (const std::string& name : tree.names("sys/module")) facts.modules.insert(name);
  read_rdma(tree, facts);
  read_pci(tree, facts);
  read_network(tree, facts);
  for (const std::string& name : tree.names("dev/infiniband"))
    if (const auto mode = tree.mode("dev/infiniband/" + name))
      facts.device_files.push_back({"/dev/infiniband/" + name, *mode});
  return facts;
}

}  // namespace sextant
