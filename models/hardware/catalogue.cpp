#include "models/hardware/catalogue.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <array>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/hardware/catalogue_reader.hpp"

namespace sextant {
namespace {

JsonObject catalogue_file(const std::string& name) {
  const std::string path = fmt::format("models/hardware/catalogue/{}.json", name);
  const std::vector<EmbeddedFile> files = embedded_files(path);
  if (files.empty()) throw InputError(fmt::format("{}: not embedded in this binary", path));
  return JsonValue::parse(files.front().content, path).object();
}

HardwareCatalogue read_catalogue() {
  HardwareCatalogue catalogue;
  const JsonObject gpus = catalogue_file("gpus"), nics = catalogue_file("nics");
  const JsonObject switches = catalogue_file("switches"), node_types = catalogue_file("node-types");
  for (const JsonValue& item : gpus.at("gpus").array()) catalogue.gpus.push_back(read_gpu(item));
  for (const JsonValue& item : nics.at("nics").array()) catalogue.nics.push_back(read_nic(item));
  for (const JsonValue& item : switches.at("switches").array())
    catalogue.switches.push_back(read_switch(item));
  for (const JsonValue& item : node_types.at("node_types").array())
    catalogue.node_types.push_back(read_node_type(item));
  for (const JsonValue& item : switches.at("notes").array()) catalogue.notes.push_back(item.text());
  for (const JsonObject& file : {gpus, nics, switches, node_types}) file.finish();
  return catalogue;
}

template <class Entry>
const Entry& find_entry(const std::vector<Entry>& entries, const std::string& name, const char* what) {
  std::vector<std::string> names;
  for (const Entry& entry : entries) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  throw InputError(fmt::format("{}: found \"{}\", expected one of {}{}", what, name, fmt::join(names, ", "),
                               did_you_mean(name, names)));
}

}  // namespace

const HardwareCatalogue& hardware_catalogue() {
  static const HardwareCatalogue catalogue = read_catalogue();
  return catalogue;
}

const Gpu& find_gpu(const std::string& name) {
  return find_entry(hardware_catalogue().gpus, name, "gpu");
}
const Nic& find_nic(const std::string& name) {
  return find_entry(hardware_catalogue().nics, name, "nic");
}
const Switch& find_switch(const std::string& name) {
  return find_entry(hardware_catalogue().switches, name, "switch");
}
const NodeType& find_node_type(const std::string& name) {
  return find_entry(hardware_catalogue().node_types, name, "node type");
}

double memory_gbps(const Gpu& gpu) {
  if (gpu.memory_gbps) return gpu.memory_gbps->value;
  throw InputError(fmt::format(
      "gpu {}: no trustworthy memory bandwidth is known; measure it, or choose another gpu", gpu.name));
}

double pcie_gbps(int generation, int lanes) {
  constexpr std::array transfers = {2.5, 5.0, 8.0, 16.0, 32.0, 64.0};  // 10^9 per second and lane
  if (generation < 1 || generation > static_cast<int>(transfers.size()))
    throw InputError(
        fmt::format("pcie: found generation {}, expected 1 to {}", generation, transfers.size()));
  if (lanes < 1 || lanes > 16) throw InputError(fmt::format("pcie: found {} lanes, expected 1 to 16", lanes));
  const double coding = generation <= 2 ? 8.0 / 10.0 : 128.0 / 130.0;
  return lanes * transfers[static_cast<std::size_t>(generation - 1)] * coding / 8;
}

}  // namespace sextant
