// What NCCL and hwloc write of a machine, as XML.
#include <fmt/core.h>

#include <algorithm>
#include <boost/property_tree/ptree.hpp>
#include <boost/property_tree/xml_parser.hpp>
#include <cstdlib>
#include <map>
#include <sstream>

#include "models/base/error.hpp"
#include "models/hardware/host_tree.hpp"

namespace sextant {
namespace {

using Element = boost::property_tree::ptree;

Element parse(const std::string& xml, const std::string& file) {
  std::istringstream text(xml);
  Element document;
  try {
    boost::property_tree::read_xml(text, document);
  } catch (const boost::property_tree::xml_parser_error& error) {
    throw InputError(fmt::format("{}:{}: found broken xml, {}", file, error.line(), error.message()));
  }
  return document;
}

std::string attribute(const Element& element, const char* name) {
  return element.get<std::string>(std::string("<xmlattr>.") + name, "");
}

/// The number a text begins with; 0 if there is none.
double leading_number(const std::string& text) {
  return std::strtod(text.c_str(), nullptr);
}

int add(HostTree& tree, const std::string& name, DeviceKind kind, int parent, double gbps) {
  tree.devices.push_back({name, kind, parent, gbps});
  return static_cast<int>(tree.devices.size()) - 1;
}

int count_of(const HostTree& tree, DeviceKind kind) {
  return static_cast<int>(std::count_if(tree.devices.begin(), tree.devices.end(),
                                        [&](const auto& device) { return device.kind == kind; }));
}

/// "32.0 GT/s PCIe" and "16": 63.0e9 B/s; 0 where one of them is missing or no rate of PCIe.
double nccl_gbps(const Element& pci) {
  constexpr double rates[] = {2.5, 5, 8, 16, 32, 64};
  const double rate = leading_number(attribute(pci, "link_speed")),
               width = leading_number(attribute(pci, "link_width"));
  for (int generation = 1; generation <= 6; ++generation)
    if (rate == rates[generation - 1] && width >= 1 && width <= 16)
      return pcie_gbps(generation, static_cast<int>(width));
  return 0;
}

class NcclReader {
 public:
  explicit NcclReader(HostTree& tree) : tree_(tree) {}

  void system(const Element& element) {
    for (const auto& [tag, child] : element) {
      if (tag == "pci")
        throw InputError(fmt::format(
            "{}: found device {} outside every cpu, expected it below one: nothing joins it to the "
            "others",
            tree_.source, attribute(child, "busid")));
      if (tag != "cpu") continue;
      const std::string vendor = attribute(child, "vendor");
      tree_.cpu = vendor == "AuthenticAMD" ? "amd" : vendor == "GenuineIntel" ? "intel" : "other";
      const int root = add(tree_, fmt::format("root{}", count_of(tree_, DeviceKind::root_complex)),
                           DeviceKind::root_complex, -1, 0);
      below(child, root);
    }
    for (const auto& [from, target, links] : pending_) {
      const auto found = gpu_at_.find(target);
      tree_.nvlinks.push_back({from, found == gpu_at_.end() ? -1 : found->second, links});
    }
    join_pairs();
  }

 private:
  void below(const Element& element, int parent) {
    for (const auto& [tag, child] : element)
      if (tag == "pci") pci(child, parent);
  }

  void pci(const Element& element, int parent) {
    const double gbps = nccl_gbps(element);
    for (const auto& [tag, child] : element) {
      if (tag == "gpu") return gpu(child, attribute(element, "busid"), parent, gbps);
      if (tag == "nic") return nic(child, parent, gbps);
    }
    if (!attribute(element, "class").starts_with("0x0604")) return;
    const int bridge = add(tree_, fmt::format("pcie-switch{}", count_of(tree_, DeviceKind::pcie_switch)),
                           DeviceKind::pcie_switch, parent, gbps);
    below(element, bridge);
  }

  void gpu(const Element& element, const std::string& busid, int parent, double gbps) {
    const int index = add(tree_, "gpu" + attribute(element, "dev"), DeviceKind::gpu, parent, gbps);
    gpu_at_[busid] = index;
    for (const auto& [tag, child] : element)
      if (tag == "nvlink")
        pending_.push_back(
            {index, attribute(child, "target"), static_cast<int>(leading_number(attribute(child, "count")))});
  }

  void nic(const Element& element, int parent, double gbps) {
    for (const auto& [tag, child] : element)
      if (tag == "net") add(tree_, attribute(child, "name"), DeviceKind::nic, parent, gbps);
  }

  /// Links to NVSwitches come one switch a line, those of a pair of GPUs once from each side.
  void join_pairs() {
    std::map<std::pair<int, int>, int> links;
    for (const HostTree::Bundle& bundle : tree_.nvlinks)
      if (bundle.to < 0)
        links[{bundle.from, -1}] += bundle.links;
      else if (bundle.from < bundle.to)
        links[{bundle.from, bundle.to}] += bundle.links;
    tree_.nvlinks.clear();
    for (const auto& [ends, count] : links)
      if (count > 0) tree_.nvlinks.push_back({ends.first, ends.second, count});
  }

  struct Pending {
    int from;
    std::string target;
    int links;
  };
  HostTree& tree_;
  std::map<std::string, int> gpu_at_;
  std::vector<Pending> pending_;
};

class HwlocReader {
 public:
  explicit HwlocReader(HostTree& tree) : tree_(tree) {}

  void object(const Element& element, int root) {
    for (const auto& [tag, child] : element) {
      if (tag != "object") continue;
      const std::string type = attribute(child, "type");
      if (type == "Package")
        object(child, add_root());
      else if (type == "Bridge" || type == "PCIDev")
        pci(child, root >= 0 ? root : first_root());
      else
        object(child, root);
    }
  }

 private:
  int add_root() {
    return add(tree_, fmt::format("root{}", count_of(tree_, DeviceKind::root_complex)),
               DeviceKind::root_complex, -1, 0);
  }

  int first_root() { return tree_.devices.empty() ? add_root() : 0; }

  /// GPUs (PCI class 03) and network cards (02) at or below an object.
  static int cards(const Element& element) {
    const std::string type = attribute(element, "pci_type");
    int sum =
        attribute(element, "type") == "PCIDev" && (type.starts_with("03") || type.starts_with("02")) ? 1 : 0;
    for (const auto& [tag, child] : element)
      if (tag == "object") sum += cards(child);
    return sum;
  }

  void pci(const Element& element, int parent) {
    if (cards(element) == 0) return;
    const double gbps = leading_number(attribute(element, "pci_link_speed"));
    const bool host_bridge = attribute(element, "bridge_type") == "0-1";
    if (attribute(element, "type") == "PCIDev") return card(element, parent, gbps);
    int here = parent;
    int branches = 0;
    for (const auto& [tag, child] : element)
      if (tag == "object" && cards(child) > 0) ++branches;
    if (!host_bridge && branches > 1)
      here = add(tree_, fmt::format("pcie-switch{}", count_of(tree_, DeviceKind::pcie_switch)),
                 DeviceKind::pcie_switch, parent, gbps);
    for (const auto& [tag, child] : element)
      if (tag == "object") pci(child, here);
  }

  void card(const Element& element, int parent, double gbps) {
    const bool is_gpu = attribute(element, "pci_type").starts_with("03");
    std::string name = is_gpu ? fmt::format("gpu{}", count_of(tree_, DeviceKind::gpu))
                              : fmt::format("nic{}", count_of(tree_, DeviceKind::nic));
    for (const auto& [tag, child] : element) {
      const std::string device = attribute(child, "name");
      if (tag == "object" && !is_gpu && device.starts_with("mlx5")) name = device;
    }
    add(tree_, name, is_gpu ? DeviceKind::gpu : DeviceKind::nic, parent, gbps);
  }

  HostTree& tree_;
};

}  // namespace

HostTree read_nccl_topology(const std::string& xml, const std::string& file) {
  const Element document = parse(xml, file);
  const auto system = document.get_child_optional("system");
  if (!system) throw InputError(fmt::format("{}: found no element 'system', expected NCCL's topology", file));
  HostTree tree;
  tree.source = file;
  NcclReader(tree).system(*system);
  return tree;
}

HostTree read_hwloc_topology(const std::string& xml, const std::string& file) {
  const Element document = parse(xml, file);
  const auto topology = document.get_child_optional("topology");
  if (!topology)
    throw InputError(fmt::format("{}: found no element 'topology', expected lstopo's xml", file));
  HostTree tree;
  tree.source = file;
  HwlocReader(tree).object(*topology, -1);
  return tree;
}

}  // namespace sextant
