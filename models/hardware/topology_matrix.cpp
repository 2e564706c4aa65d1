// The matrix of `nvidia-smi topo -m`: how far each two cards are apart, turned back into a tree.
#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "models/hardware/host_tree.hpp"

namespace sextant {
namespace {

/// What nvidia-smi calls a way, NVLink apart.
constexpr const char* ways[] = {"PIX", "PXB", "PHB", "NODE", "SYS"};

/// The matrix as it was kept; NVLink hides how far a pair is apart over PCIe.
struct Matrix {
  std::vector<std::string> devices;
  std::map<std::pair<std::size_t, std::size_t>, std::string> paths;
  std::vector<HostTree::Bundle> nvlinks;  ///< by place in `devices`
};

std::size_t place_of(const Matrix& matrix, const JsonValue& name) {
  const auto found = std::find(matrix.devices.begin(), matrix.devices.end(), name.text());
  if (found == matrix.devices.end())
    name.fail(fmt::format("found \"{}\", expected one of 'devices'", name.text()));
  return static_cast<std::size_t>(found - matrix.devices.begin());
}

Matrix read_matrix(const JsonObject& line) {
  Matrix matrix;
  for (const JsonValue& device : line.at("devices").array()) {
    if (std::find(matrix.devices.begin(), matrix.devices.end(), device.text()) != matrix.devices.end())
      device.fail(fmt::format("found {} twice, expected every device once", device.text()));
    matrix.devices.push_back(device.text());
  }
  for (const JsonValue& item : line.at("pairs").array()) {
    const JsonObject pair = item.object();
    const std::size_t a = place_of(matrix, pair.at("a")), b = place_of(matrix, pair.at("b"));
    const std::string word = pair.text("connection");
    if (!word.starts_with("NV") && std::find(std::begin(ways), std::end(ways), word) == std::end(ways))
      pair.at("connection")
          .fail(fmt::format("found \"{}\", expected one of {} or NV and a number", word,
                            fmt::join(ways, ", ")));
    matrix.paths[{std::min(a, b), std::max(a, b)}] = word;
    if (const auto links = pair.find("nvlinks"))
      matrix.nvlinks.push_back(
          {static_cast<int>(a), static_cast<int>(b), static_cast<int>(links->integer({1, 1000}))});
  }
  for (std::size_t b = 0; b < matrix.devices.size(); ++b)
    for (std::size_t a = 0; a < b; ++a)
      if (matrix.paths.count({a, b}) == 0)
        line.at("pairs").fail(
            fmt::format("found no way between {} and {}, expected one for every two devices",
                        matrix.devices[a], matrix.devices[b]));
  return matrix;
}

/// Groups of devices that a chain of the given words joins: for each device the first of its group.
std::vector<std::size_t> groups(const Matrix& matrix, const std::vector<std::string>& words) {
  std::vector<std::size_t> group(matrix.devices.size());
  for (std::size_t i = 0; i < group.size(); ++i) group[i] = i;
  for (const auto& [ends, word] : matrix.paths) {
    if (std::find(words.begin(), words.end(), word) == words.end()) continue;
    const std::size_t keep = std::min(group[ends.first], group[ends.second]);
    const std::size_t drop = std::max(group[ends.first], group[ends.second]);
    std::replace(group.begin(), group.end(), drop, keep);
  }
  return group;
}

std::size_t members(const std::vector<std::size_t>& group, std::size_t first) {
  return static_cast<std::size_t>(std::count(group.begin(), group.end(), first));
}

bool is_gpu(const std::string& name) {
  return name.starts_with("GPU");
}

}  // namespace

HostTree read_topology_line(const JsonValue& value) {
  const JsonObject line = value.object();
  const Matrix matrix = read_matrix(line);
  HostTree tree;
  tree.source = value.where();
  const auto one = groups(matrix, {"PIX"}), several = groups(matrix, {"PIX", "PXB"});
  const auto root = groups(matrix, {"PIX", "PXB", "PHB", "NODE"});
  std::map<std::pair<char, std::size_t>, int> made;
  const auto make = [&](char level, std::size_t group, const char* name, DeviceKind kind, int parent) {
    const auto [found, added] = made.emplace(std::pair{level, group}, static_cast<int>(tree.devices.size()));
    if (added) {
      const auto count = std::count_if(tree.devices.begin(), tree.devices.end(),
                                       [&](const HostTree::Device& device) { return device.kind == kind; });
      tree.devices.push_back({fmt::format("{}{}", name, count), kind, parent, 0});
    }
    return found->second;
  };
  std::vector<int> index_of;
  for (std::size_t i = 0; i < matrix.devices.size(); ++i) {
    int parent = make('r', root[i], "root", DeviceKind::root_complex, -1);
    if (members(several, several[i]) > members(one, one[i]))
      parent = make('u', several[i], "pcie-switch", DeviceKind::pcie_switch, parent);
    if (members(one, one[i]) > 1) parent = make('s', one[i], "pcie-switch", DeviceKind::pcie_switch, parent);
    std::string name = matrix.devices[i];
    if (is_gpu(name)) name = "gpu" + name.substr(3);
    index_of.push_back(static_cast<int>(tree.devices.size()));
    tree.devices.push_back({name, is_gpu(matrix.devices[i]) ? DeviceKind::gpu : DeviceKind::nic, parent, 0});
  }
  // A GPU with as many links to every other has them to switches: pairs would need links for each.
  std::map<int, std::size_t> peers;
  for (const HostTree::Bundle& bundle : matrix.nvlinks) ++peers[bundle.from], ++peers[bundle.to];
  const auto gpus =
      static_cast<std::size_t>(std::count_if(matrix.devices.begin(), matrix.devices.end(), is_gpu));
  constexpr int links_of_switched =
      12;  // NVSwitch machines give each pair all of a GPU's links, 12 on A100 and 18 later
  const bool switched = gpus > 2 && !matrix.nvlinks.empty() &&
                        std::all_of(matrix.nvlinks.begin(), matrix.nvlinks.end(),
                                    [](const HostTree::Bundle& b) { return b.links >= links_of_switched; });
  for (const HostTree::Bundle& bundle : matrix.nvlinks)
    if (!switched)
      tree.nvlinks.push_back({index_of[static_cast<std::size_t>(bundle.from)],
                              index_of[static_cast<std::size_t>(bundle.to)], bundle.links});
  if (switched)
    for (const auto& [gpu, count] : peers)
      tree.nvlinks.push_back({index_of[static_cast<std::size_t>(gpu)], -1, matrix.nvlinks.front().links});
  return tree;
}

}  // namespace sextant
