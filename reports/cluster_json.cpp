#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "reports/context_json.hpp"
#include "sim/fabric/route.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

/// What a candidate does on each link of the cluster.
class LinkUse {
 public:
  explicit LinkUse(const Cluster& cluster) : topology_(cluster), use_(cluster.links.size()) {}

  void add(const Layout& layout, const std::vector<StageShares>& shares) {
    for (std::size_t r = 0; r < layout.replicas.size(); ++r) {
      const std::string of = layout.replicas.size() > 1 ? fmt::format("replica {}, ", r) : "";
      for (std::size_t s = 0; s < std::min(layout.replicas[r].size(), shares.size()); ++s) {
        const std::vector<int>& gpus = layout.replicas[r][s].gpus;
        // The ring in which NCCL joins a group; a hop goes from each rank to its twin in the next stage.
        for (std::size_t i = 0; gpus.size() > 1 && i < gpus.size(); ++i)
          travel(gpus[i], gpus[(i + 1) % gpus.size()], shares[s].communication,
                 fmt::format("{}collectives of stage {}", of, s));
        if (s + 1 == layout.replicas[r].size()) continue;
        const std::vector<int>& next = layout.replicas[r][s + 1].gpus;
        for (std::size_t i = 0; i < std::min(gpus.size(), next.size()); ++i)
          travel(gpus[i], next[i], shares[s].hop_busy, fmt::format("{}hop {} to {}", of, s, s + 1));
      }
    }
  }
  Json link(std::size_t index) const {
    return {{"use", std::min(1.0, use_[index].share)}, {"carries", use_[index].carries}};
  }

 private:
  struct Use {
    double share = 0;
    std::vector<std::string> carries;
  };
  void travel(int from, int to, double share, const std::string& what) {
    constexpr std::size_t most_named = 4;
    if (from == to) return;
    for (const int link : topology_.route(from, to).links) {
      Use& use = use_[static_cast<std::size_t>(link)];
      const bool known = std::find(use.carries.begin(), use.carries.end(), what) != use.carries.end();
      if (known) continue;  // the flows of one collective, or of one hop, are there at the same time
      use.share += share;
      if (use.carries.size() < most_named) use.carries.push_back(what);
    }
  }
  Topology topology_;
  std::vector<Use> use_;
};

std::optional<LinkUse> link_use(const Cluster& cluster, const Candidate& best) {
  if (cluster.links.empty()) return std::nullopt;
  try {
    LinkUse use(cluster);
    use.add(best.layout, best.metrics.stages);
    return use;
  } catch (const InputError&) {  // a cluster made without links between its parts: nothing to colour
    return std::nullopt;
  }
}

}  // namespace

Json cluster_json(const Cluster& cluster, const Candidate& best) {
  Json nodes = Json::array(), devices = Json::array(), links = Json::array();
  for (const Node& node : cluster.nodes)
    nodes.push_back({{"name", node.name}, {"type", node.type}, {"rack", node.rack}});
  for (const Device& device : cluster.devices)
    devices.push_back({{"name", device.name},
                       {"kind", to_string(device.kind)},
                       {"node", device.node},
                       {"model", device.model}});
  const std::optional<LinkUse> use = link_use(cluster, best);
  for (std::size_t i = 0; i < cluster.links.size(); ++i) {
    const Link& link = cluster.links[i];
    Json entry = {{"from", link.from}, {"to", link.to}, {"kind", link.kind}, {"gbps", link.gbps}};
    if (use) entry.update(use->link(i));
    links.push_back(entry);
  }
  return {{"nodes", nodes},
          {"devices", devices},
          {"links", links},
          {"transport", cluster.network.transport},
          {"gpudirect", cluster.network.gpudirect}};
}

}  // namespace sextant
