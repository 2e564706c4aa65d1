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

/// Cuts `gpus` into groups of `tp`, equal cards together as far as they go, for a group runs at its slowest
/// card's pace; then what each kind leaves. Returns what is too few for a group.
std::vector<int> take_groups(const Cluster& cluster, std::vector<int> gpus, int tp,
                             std::vector<GpuGroup>& groups) {
  const auto kind = [&](int gpu) { return cluster.kind(gpu); };
  std::stable_sort(gpus.begin(), gpus.end(), [&](int a, int b) { return kind(a) < kind(b); });
  const auto add = [&](auto first) {
    std::vector<int> group(first, first + tp);
    std::sort(group.begin(), group.end());
    groups.push_back({group, kind_of(cluster, group)});
  };
  std::vector<int> mixed;
  for (auto begin = gpus.begin(); begin != gpus.end();) {
    const auto end = std::find_if(begin, gpus.end(), [&](int gpu) { return kind(gpu) != kind(*begin); });
    for (; end - begin >= tp; begin += tp) add(begin);
    mixed.insert(mixed.end(), begin, end);
    begin = end;
  }
  auto begin = mixed.begin();
  for (; mixed.end() - begin >= tp; begin += tp) add(begin);
  return {begin, mixed.end()};
}

}  // namespace

std::vector<GpuGroup> gpu_groups(const Cluster& cluster, int tp) {
  std::vector<GpuGroup> groups;
  std::vector<int> left_over;
  for (const Node& node : cluster.nodes) {
    const std::vector<int> rest = take_groups(cluster, node.gpus, tp, groups);
    left_over.insert(left_over.end(), rest.begin(), rest.end());
  }
  take_groups(cluster, left_over, tp, groups);
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
