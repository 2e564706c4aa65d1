#include "calibrate/measure/fabric/topology.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "calibrate/measure/common/context.hpp"

namespace sextant::measure_fabric {
namespace {

namespace files = std::filesystem;

std::string first_line(const files::path& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

int numa_node(const files::path& device) {
  const std::string text = first_line(device / "numa_node");
  return text.empty() ? -1 : std::atoi(text.c_str());
}

std::string real_path(const files::path& path) {
  std::error_code problem;
  const files::path real = files::canonical(path, problem);
  return problem ? std::string() : real.string();
}

/// The parts of a device's path from its host bridge ("pci0000:15") on.
std::vector<std::string> parts(const PcieDevice& device) {
  std::vector<std::string> result;
  for (const files::path& part : files::path(device.path)) {
    const std::string text = part.string();
    if (text.starts_with("pci") || !result.empty()) result.push_back(text);
  }
  return result;
}

std::vector<files::path> sorted_entries(const files::path& folder) {
  std::vector<files::path> entries;
  std::error_code problem;
  for (const auto& entry : files::directory_iterator(folder, problem)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

nlohmann::ordered_json device_json(const PcieDevice& device) {
  return {{"name", device.name}, {"path", device.path}, {"numa", device.numa_node}};
}

void read_device(const JsonObject& object, PcieDevice& device) {
  device.name = object.text("name");
  device.path = object.text("path");
  device.numa_node = static_cast<int>(object.integer("numa"));
}

}  // namespace

std::string pcie_distance(const PcieDevice& a, const PcieDevice& b) {
  const std::vector<std::string> first = parts(a), second = parts(b);
  std::size_t shared = 0;
  while (shared < std::min(first.size(), second.size()) && first[shared] == second[shared]) ++shared;
  const bool one_bridge = shared > 0;
  if (!one_bridge) return a.numa_node >= 0 && a.numa_node == b.numa_node ? "NODE" : "SYS";
  // Below a root port both hang on the same switch; each step more on either side is a bridge more.
  constexpr std::size_t host_bridge_alone = 1, bridges_of_one_switch = 2;
  if (shared == host_bridge_alone) return "PHB";
  const std::size_t farthest = std::max(first.size(), second.size()) - shared;
  return farthest <= bridges_of_one_switch ? "PIX" : "PXB";
}

Inventory take_inventory(const std::string& sys) {
  Inventory inventory;
  inventory.host = measure::host_name();
  for (const files::path& device : sorted_entries(files::path(sys) / "class/infiniband"))
    for (const files::path& port : sorted_entries(device / "ports")) {
      Nic nic;
      nic.name = device.filename().string();
      nic.path = real_path(device / "device");
      nic.numa_node = numa_node(device / "device");
      nic.port = std::atoi(port.filename().c_str());
      nic.rate_gbps = std::strtod(first_line(port / "rate").c_str(), nullptr);
      nic.active = first_line(port / "state").starts_with("4");  // "4: ACTIVE"
      inventory.nics.push_back(nic);
    }
  for (const files::path& device : sorted_entries(files::path(sys) / "bus/pci/devices")) {
    const std::string kind = first_line(device / "class");  // 0x0300..: display, 0x0302..: 3D
    if (first_line(device / "vendor") != "0x10de" ||
        !(kind.starts_with("0x0300") || kind.starts_with("0x0302")))
      continue;
    inventory.gpus.push_back({device.filename().string(), real_path(device), numa_node(device)});
  }
  return inventory;
}

std::string Inventory::write() const {
  nlohmann::ordered_json json{{"kind", "context"}, {"host", host}};
  json["nics"] = nlohmann::ordered_json::array();
  json["gpus"] = nlohmann::ordered_json::array();
  json["gpu_to_nic"] = nlohmann::ordered_json::array();
  for (const Nic& nic : nics) {
    nlohmann::ordered_json each = device_json(nic);
    each["port"] = nic.port;
    each["rate_gbps"] = nic.rate_gbps;
    each["active"] = nic.active;
    json["nics"].push_back(each);
  }
  for (const PcieDevice& gpu : gpus) {
    json["gpus"].push_back(device_json(gpu));
    for (const Nic& nic : nics)
      json["gpu_to_nic"].push_back(nlohmann::ordered_json{
          {"gpu", gpu.name}, {"nic", nic.name}, {"distance", pcie_distance(gpu, nic)}});
  }
  return json.dump();
}

Inventory Inventory::read(const JsonValue& value) {
  const JsonObject object = value.object();
  Inventory inventory;
  inventory.host = object.text("host");
  for (const JsonValue& each : object.at("nics").array()) {
    Nic nic;
    const JsonObject device = each.object();
    read_device(device, nic);
    nic.port = static_cast<int>(device.integer("port"));
    nic.rate_gbps = device.number("rate_gbps");
    nic.active = device.boolean("active");
    inventory.nics.push_back(nic);
  }
  for (const JsonValue& each : object.at("gpus").array()) {
    PcieDevice gpu;
    read_device(each.object(), gpu);
    inventory.gpus.push_back(gpu);
  }
  return inventory;
}

}  // namespace sextant::measure_fabric
