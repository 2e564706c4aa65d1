#include <algorithm>
#include <set>
#include <string>

#include "sim/planner/search.hpp"

namespace sextant {
namespace {

std::string kind_of(const Cluster& cluster, const std::vector<int>& gpus) {
  std::string kind;
  for (const int gpu : gpus) {
    const Device& device = cluster.devices[static_cast<std::size_t>(gpu)];
    kind += std::to_string(device.node) + ":" + cluster.kind(gpu) + " ";
  }
  return kind;
}

int node_changes(const std::vector<GpuGroup>& pipeline) {
  // A group's kind starts with its node.
  int changes = 0;
  for (std::size_t i = 1; i < pipeline.size(); ++i) {
    const auto node = [](const GpuGroup& group) { return group.kind.substr(0, group.kind.find(':')); };
    changes += node(pipeline[i]) == node(pipeline[i - 1]) ? 0 : 1;
  }
  return changes;
}

/// Depth-first over kinds rather than groups, so that interchangeable groups are tried once.
class PipelineEnumerator {
 public:
  PipelineEnumerator(const std::vector<GpuGroup>& groups, int stages)
      : stages_(static_cast<std::size_t>(stages)) {
    for (const GpuGroup& group : groups) {
      auto place = std::find_if(kinds_.begin(), kinds_.end(),
                                [&](const auto& k) { return k.front().kind == group.kind; });
      if (place == kinds_.end())
        kinds_.push_back({group});
      else
        place->push_back(group);
    }
    used_.resize(kinds_.size());
  }

  std::vector<std::vector<GpuGroup>> all() {
    extend();
    std::stable_sort(found_.begin(), found_.end(),
                     [](const auto& a, const auto& b) { return node_changes(a) < node_changes(b); });
    return std::move(found_);
  }

 private:
  void extend() {
    if (chosen_.size() == stages_) {
      found_.push_back(chosen_);
      return;
    }
    for (std::size_t k = 0; k < kinds_.size() && found_.size() < enough; ++k) {
      if (used_[k] == kinds_[k].size()) continue;
      chosen_.push_back(kinds_[k][used_[k]++]);
      extend();
      chosen_.pop_back();
      --used_[k];
    }
  }

  /// Enumeration stops here in large clusters; the first found keep to few nodes, as kinds stand in node
  /// order.
  static constexpr std::size_t enough = 5000;
  std::size_t stages_;
  std::vector<std::vector<GpuGroup>> kinds_;
  std::vector<std::size_t> used_;
  std::vector<GpuGroup> chosen_;
  std::vector<std::vector<GpuGroup>> found_;
};

}  // namespace

std::vector<GpuGroup> gpu_groups(const Cluster& cluster, int tp) {
  const auto size = static_cast<std::size_t>(tp);
  std::vector<GpuGroup> groups;
  std::vector<int> left_over;
  for (const Node& node : cluster.nodes) {
    // Equal cards together: a group runs at its slowest card's pace.
    std::vector<int> gpus = node.gpus;
    std::stable_sort(gpus.begin(), gpus.end(),
                     [&](int a, int b) { return cluster.kind(a) < cluster.kind(b); });
    std::size_t at = 0;
    for (; at + size <= gpus.size(); at += size) {
      const auto first = gpus.begin() + static_cast<std::ptrdiff_t>(at);
      const std::vector<int> group(first, first + tp);
      groups.push_back({group, kind_of(cluster, group)});
    }
    left_over.insert(left_over.end(), gpus.begin() + static_cast<std::ptrdiff_t>(at), gpus.end());
  }
  for (std::size_t at = 0; at + size <= left_over.size(); at += size) {
    const auto first = left_over.begin() + static_cast<std::ptrdiff_t>(at);
    const std::vector<int> group(first, first + tp);
    groups.push_back({group, kind_of(cluster, group)});
  }
  return groups;
}

std::string signature(const Cluster& cluster, const std::vector<GpuGroup>& pipeline) {
  std::vector<int> seen;  // nodes in order of first appearance: their number stands for them
  std::string text;
  for (const GpuGroup& group : pipeline) {
    for (const int gpu : group.gpus) {
      const Device& device = cluster.devices[static_cast<std::size_t>(gpu)];
      const Node& node = cluster.nodes[static_cast<std::size_t>(device.node)];
      auto place = std::find(seen.begin(), seen.end(), device.node);
      const auto number = place - seen.begin();
      if (place == seen.end()) seen.push_back(device.node);
      text += std::to_string(number) + node.type + (node.peer_to_peer ? "+" : "-");
      for (const int nic : node.nics) text += cluster.devices[static_cast<std::size_t>(nic)].model + ",";
      text += cluster.kind(gpu) + " ";
    }
    text += "| ";
  }
  return text;
}

std::vector<std::vector<GpuGroup>> pipelines(const Cluster& cluster, const std::vector<GpuGroup>& groups,
                                             int stages, std::size_t most) {
  constexpr std::size_t few = 12;
  const auto length = static_cast<std::size_t>(stages);
  if (groups.size() < length) return {};
  if (groups.size() > few) return {{groups.begin(), groups.begin() + stages}};
  std::vector<std::vector<GpuGroup>> distinct;
  std::set<std::string> known;
  for (auto& pipeline : PipelineEnumerator(groups, stages).all())
    if (distinct.size() < most && known.insert(signature(cluster, pipeline)).second)
      distinct.push_back(std::move(pipeline));
  return distinct;
}

}  // namespace sextant
