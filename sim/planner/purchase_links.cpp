#include <fmt/core.h>

#include <algorithm>
#include <set>

#include "models/base/error.hpp"
#include "models/cost/group_curve.hpp"
#include "sim/planner/purchase_floors.hpp"
#include "sim/planner/search.hpp"

namespace sextant {
namespace {

/// Links, each once.
class LinkSet {
 public:
  void add(LinkProfile link) {
    if (known_.insert(write_link_profile(link)).second) links.push_back(std::move(link));
  }
  std::vector<LinkProfile> links;

 private:
  std::set<std::string> known_;
};

/// Ways from one GPU to another, each sort once.
class Ways {
 public:
  void add(const Route& route) {
    const bool staged = route.kind == RouteKind::pcie_staged || route.kind == RouteKind::network_staged;
    if (known_.insert(route.profile.name + (staged ? " staged" : "")).second)
      (staged ? through_host : direct).push_back(route.profile);
  }
  std::vector<LinkProfile> direct, through_host;

 private:
  std::set<std::string> known_;
};

Cluster cluster_for(const PurchaseQuestion& question, const Purchase& purchase) {
  return read_cluster(JsonValue::parse(cluster_of(question, purchase), question.file));
}

class LinkCollector {
 public:
  LinkCollector(const PurchaseQuestion& question, const std::vector<int>& degrees, bool custom_all_reduce)
      : question_(question), degrees_(degrees), custom_(custom_all_reduce) {}

  GroupLinks run(const std::vector<Purchase>& purchases) {
    std::set<std::string> nodes, networks;
    for (const Purchase& purchase : purchases) {
      for (const PurchasedNodes& bought : purchase.nodes) {
        Purchase alone;
        alone.nodes = {bought};
        alone.nodes.front().count = 1;
        if (nodes.insert(cluster_of(question_, alone)).second) look_inside(alone);
      }
      most_nodes_ = std::max(most_nodes_, purchase.node_count());
      most_nics_ = std::max(most_nics_, purchase.nics_per_node);
      if (purchase.node_count() > 1 && networks.insert(network_name(purchase)).second) look_between(purchase);
    }
    GroupLinks result;
    for (const int tp : degrees_) {
      result.inside[tp] = std::move(inside_[tp].links);
      result.across[tp] = across(tp);
    }
    return result;
  }

 private:
  LinkProfile as_engine(LinkProfile link) const { return custom_ ? link : by_nccl_alone(std::move(link)); }

  // Where there is no way or no profile of it, there is no group over it either.
  static void add_way(Ways& ways, const Topology& topology, int from, int to) {
    try {
      ways.add(topology.route(from, to));
    } catch (const InputError&) {
    }
  }
  void add_group(int tp, const Topology& topology, const GpuGroup& group) {
    try {
      inside_[tp].add(as_engine(group_link(topology, group.gpus)));
    } catch (const InputError&) {
    }
  }

  /// Groups inside a node are the same in every cluster that has the node.
  void look_inside(const Purchase& node) {
    const Cluster cluster = cluster_for(question_, node);
    const Topology topology(cluster);
    const std::vector<int> gpus = cluster.gpus();
    for (std::size_t i = 0; i < gpus.size(); ++i)
      for (std::size_t j = 0; j < gpus.size(); ++j)
        if (i != j) add_way(within_, topology, gpus[i], gpus[j]);
    for (const int tp : degrees_)
      if (tp > 1)
        for (const GpuGroup& group : gpu_groups(cluster, tp)) add_group(tp, topology, group);
  }

  /// What decides about the ways between nodes: their cards and the network.
  std::string network_name(const Purchase& purchase) const {
    std::string name = fmt::format("{} {} {}", purchase.nic, purchase.nics_per_node, purchase.network_switch);
    for (const PurchasedNodes& bought : purchase.nodes) {
      name += fmt::format(" {}{}", bought.chassis, bought.count > 1 ? "s" : "");
      for (const auto& [card, unused] : bought.cards) name += fmt::format(",{}", card);
    }
    return name;
  }

  void look_between(const Purchase& purchase) {
    const Cluster cluster = cluster_for(question_, purchase);
    const Topology topology(cluster);
    for (const int from : cluster.gpus())
      for (const int to : cluster.gpus())
        if (cluster.devices[static_cast<std::size_t>(from)].node !=
            cluster.devices[static_cast<std::size_t>(to)].node)
          add_way(between_, topology, from, to);
  }

  void add_across(LinkSet& set, const LinkProfile& inside, const LinkProfile& between,
                  const NodeGroup& group) const {
    try {
      set.add(as_engine(across_nodes(inside, between, group)));
    } catch (const InputError&) {
    }
  }

  /// Every pair of links inside and between nodes, any number of nodes and NICs; and where that has no model,
  /// the slowest way between two of the group.
  std::vector<LinkProfile> across(int tp) const {
    LinkSet set;
    bool all_modelled = within_.through_host.empty() && between_.through_host.empty();
    for (const LinkProfile& inside : within_.direct) {
      all_modelled = all_modelled && inside.ring.has_value();
      for (const LinkProfile& between : between_.direct)
        for (int nodes = 2; inside.ring && nodes < tp && nodes <= most_nodes_; ++nodes)
          for (int nics = 1; nics <= std::max(1, most_nics_); ++nics) {
            NodeGroup group;
            group.ranks = tp;
            group.nodes = nodes;
            group.nics = nics;
            add_across(set, inside, between, group);
          }
    }
    for (const LinkProfile& link : between_.direct) set.add(as_engine(link));
    if (all_modelled) return std::move(set.links);
    for (const LinkProfile& link : within_.direct) set.add(as_engine(link));
    for (const auto* staged : {&within_.through_host, &between_.through_host})
      for (const LinkProfile& link : *staged)
        if (link.staged) set.add(as_engine(through_host_memory(link)));
    return std::move(set.links);
  }

  const PurchaseQuestion& question_;
  const std::vector<int>& degrees_;
  const bool custom_;
  int most_nodes_ = 1, most_nics_ = 0;
  std::map<int, LinkSet> inside_;
  Ways within_, between_;
};

}  // namespace

GroupLinks group_links(const PurchaseQuestion& question, const std::vector<Purchase>& purchases,
                       const std::vector<int>& degrees, bool custom_all_reduce) {
  return LinkCollector(question, degrees, custom_all_reduce).run(purchases);
}

}  // namespace sextant
