#include "sim/fabric/collective_flows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "models/base/error.hpp"
#include "models/cost/group_curve.hpp"
#include "sim/fabric/collective_shapes.hpp"

namespace sextant {

/// A group's GPUs by node, the links that join them, and NCCL's view of them.
struct CollectivePlanner::Group {
  std::vector<std::vector<int>> nodes;
  LinkProfile intra, inter;  ///< intra: of the node with most GPUs
  NodeGroup shape;
  CollectiveGroup nccl;
  AlgorithmTime choice;
  /// Node by node, as NCCL orders a ring.
  std::vector<int> ring() const {
    std::vector<int> gpus;
    for (const std::vector<int>& node : nodes) gpus.insert(gpus.end(), node.begin(), node.end());
    return gpus;
  }
  std::size_t widest() const {
    std::size_t most = 0;
    for (const std::vector<int>& gpus : nodes) most = std::max(most, gpus.size());
    return most;
  }
};

std::string to_string(CollectiveShape shape) {
  constexpr std::array names = {"ring", "tree", "one-shot", "two-shot", "direct", "hierarchical"};
  return names[static_cast<std::size_t>(shape)];
}

CollectivePlanner::CollectivePlanner(NcclPaths& paths, const Topology& topology)
    : paths_(&paths), topology_(&topology), tuning_(shipped_nccl_tuning()) {}

CollectivePlanner::Group CollectivePlanner::group(const CollectiveQuestion& question) const {
  if (question.gpus.size() < 2)
    throw InputError(fmt::format("collective: found {} gpus, expected 2 or more", question.gpus.size()));
  const Cluster& cluster = topology_->cluster();
  std::map<int, std::vector<int>> by_node;
  for (const int gpu : question.gpus)
    by_node[cluster.devices[static_cast<std::size_t>(gpu)].node].push_back(gpu);
  Group group;
  for (auto& [node, gpus] : by_node) group.nodes.push_back(std::move(gpus));
  const auto& largest = *std::max_element(group.nodes.begin(), group.nodes.end(),
                                          [](const auto& a, const auto& b) { return a.size() < b.size(); });
  if (largest.size() > 1) group.intra = topology_->slowest_route(largest).profile;
  const int ranks = static_cast<int>(question.gpus.size()), nodes = static_cast<int>(group.nodes.size());
  if (nodes == 1) {
    group.nccl = group_of_link(group.intra, question.op, ranks);
    return group;
  }
  group.inter = topology_->route(group.nodes[0].front(), group.nodes[1].front()).profile;
  if (largest.size() < 2)
    group.intra = find_link_profile("pcie-gen5");  // not on the way: no hop inside a node
  std::size_t nics = largest.size();
  for (const Node& node : cluster.nodes)
    if (by_node.count(static_cast<int>(&node - cluster.nodes.data())) > 0)
      nics = std::min(nics, node.nics.size());
  group.shape = {ranks, nodes, static_cast<int>(std::max<std::size_t>(nics, 1)), "intel"};
  group.nccl = group_across_nodes(group.intra, group.inter, group.shape);
  return group;
}

CollectiveShape CollectivePlanner::chosen(const CollectiveQuestion& question, Group& group) const {
  if (question.op == "all_to_all") return CollectiveShape::direct;
  const auto wanted = [&](Algorithm algorithm) {
    if (question.shape == CollectiveShape::ring) return algorithm == Algorithm::ring;
    if (question.shape == CollectiveShape::tree) return algorithm == Algorithm::tree;
    // Inside a node the fitted lines are those of whatever NCCL took, sorted by the ring's protocol.
    return group.nodes.size() == 1 ? algorithm == Algorithm::ring
                                   : algorithm == Algorithm::ring || algorithm == Algorithm::tree;
  };
  for (const AlgorithmTime& time : nccl_times(tuning_, group.nccl, question.op, question.bytes)) {
    if (!wanted(time.algorithm)) continue;
    group.choice = time;
    return time.algorithm == Algorithm::tree ? CollectiveShape::tree : CollectiveShape::ring;
  }
  throw InputError(fmt::format("collective: found shape {} for {}, which NCCL does not have",
                               question.shape ? to_string(*question.shape) : "ring", question.op));
}

CollectiveFlows CollectivePlanner::flows(const CollectiveQuestion& question) const {
  Group here = group(question);
  const CollectiveShape shape = question.shape.value_or(CollectiveShape::ring);
  if (question.shape && shape != CollectiveShape::ring && shape != CollectiveShape::tree &&
      question.op != "all_reduce" && !(shape == CollectiveShape::direct && question.op == "all_to_all"))
    throw InputError(
        fmt::format("collective: found shape {} for {}, expected all_reduce", to_string(shape), question.op));
  if (question.shape && (shape == CollectiveShape::one_shot || shape == CollectiveShape::two_shot))
    return kernel_flows(question, here, shape);
  if (question.shape && shape == CollectiveShape::hierarchical) return hierarchical_flows(question, here);
  const CollectiveShape taken = chosen(question, here);
  return nccl_flows(question, here, taken);
}

CollectiveFlows CollectivePlanner::nccl_flows(const CollectiveQuestion& question, Group& group,
                                              CollectiveShape shape) const {
  const double steps = ring_steps(question.op, group.nccl.ranks), ranks = group.nccl.ranks;
  const double passed_on = question.bytes * steps / ranks;
  CollectiveFlows flows{shape, Protocol::simple, group.nccl.channels, {{}}};
  CollectivePhase& phase = flows.phases.front();
  if (group.nodes.size() == 1) {
    const RingOperation* operation = group.intra.ring->operation(question.op);
    if (!operation)
      throw InputError(fmt::format("link profile {} has no ring model of {}", group.intra.name, question.op));
    flows.protocol = shape == CollectiveShape::direct
                         ? ring_protocol(tuning_, group.nccl, question.op, question.bytes)
                         : group.choice.protocol;
    const ProtocolLine& line = protocol_line(*operation, *flows.protocol);
    const double plateau = group.nccl.intra_gbps;
    // A group that reaches more than the fitted line at large sizes does so with its other protocols too.
    const double busbw =
        std::min(plateau, line.busbw_gbps * plateau / operation->protocols.back().busbw_gbps);
    phase.latency_us = line.base_us + steps * line.hop_us;
    if (const auto& one = group.intra.ring->one_channel;
        one && question.bytes < ranks * one->below_bytes_per_rank)
      phase.latency_us = std::max(0.0, phase.latency_us - one->saves_us);
    phase.transfers = shape == CollectiveShape::direct
                          ? pairwise_transfers(question.gpus, question.bytes / ranks, busbw / (ranks - 1))
                          : ring_transfers(question.gpus, passed_on, busbw);
    return flows;
  }
  if (shape == CollectiveShape::direct) {
    phase.latency_us = group.inter.send.us.front();
    phase.transfers = pairwise_transfers(question.gpus, question.bytes / ranks, FlowEngine::no_limit);
    return flows;
  }
  flows.protocol = group.choice.protocol;
  const auto us = [&](double bytes) {
    return 1e6 * timed_across_nodes(tuning_, group.intra, group.inter, group.shape, question.op,
                                    group.choice.algorithm, group.choice.protocol, bytes);
  };
  phase.latency_us = us(1);
  const double wire_us = std::max(us(question.bytes) - phase.latency_us, 1e-3);
  phase.transfers = shape == CollectiveShape::tree
                        ? tree_transfers(group.nodes, question.bytes, question.bytes / wire_us * 1e-3)
                        : ring_transfers(group.ring(), passed_on, passed_on / wire_us * 1e-3);
  return flows;
}

/// Latency and rate are those of the measured kernel; every GPU takes from all others at once.
CollectiveFlows CollectivePlanner::kernel_flows(const CollectiveQuestion& question, const Group& group,
                                                CollectiveShape shape) const {
  const int ranks = static_cast<int>(question.gpus.size());
  const TransferCurve* curve = group.nodes.size() == 1 ? group.intra.custom(question.op, ranks) : nullptr;
  if (!curve)
    throw InputError(fmt::format(
        "collective: found shape {}, expected a link profile with a custom {} of {} ranks on one node",
        to_string(shape), question.op, ranks));
  CollectiveFlows flows{shape, std::nullopt, group.nccl.channels, {{}}};
  const bool once = shape == CollectiveShape::one_shot;
  const double each = once ? question.bytes : 2 * question.bytes / ranks;
  flows.phases.front() = {curve->us.front(), pairwise_transfers(question.gpus, each, FlowEngine::no_limit)};
  return flows;
}

CollectiveFlows CollectivePlanner::hierarchical_flows(const CollectiveQuestion& question,
                                                      const Group& group) const {
  const std::size_t inside = group.widest(), nodes = group.nodes.size();
  for (const std::vector<int>& gpus : group.nodes)
    if (gpus.size() != inside || nodes < 2)
      throw InputError(
          fmt::format("collective: found {} gpus on one node and {} on another, expected two nodes or more "
                      "of as many each for shape hierarchical",
                      inside, gpus.size()));
  const double share = 1.0 / static_cast<double>(inside), across = static_cast<double>(nodes);
  CollectiveFlows flows{CollectiveShape::hierarchical, Protocol::simple, group.nccl.channels, {}};
  const auto add_inside = [&](const char* op) {
    if (inside < 2) return;
    CollectivePhase phase;
    for (const std::vector<int>& gpus : group.nodes) {
      const CollectivePhase one = this->flows({op, gpus, question.bytes}).phases.front();
      phase.latency_us = std::max(phase.latency_us, one.latency_us);
      phase.transfers.insert(phase.transfers.end(), one.transfers.begin(), one.transfers.end());
    }
    flows.phases.push_back(std::move(phase));
  };
  add_inside("reduce_scatter");
  CollectivePhase rails;
  for (std::size_t local = 0; local < inside; ++local) {
    std::vector<int> gpus;
    for (const std::vector<int>& node : group.nodes) gpus.push_back(node[local]);
    const CollectiveFlows one =
        this->flows({"all_reduce", gpus, question.bytes * share, CollectiveShape::ring});
    rails.latency_us = std::max(rails.latency_us, one.phases.front().latency_us);
    for (Transfer transfer : one.phases.front().transfers) {
      transfer.bytes = question.bytes * share * ring_steps("all_reduce", static_cast<int>(nodes)) / across;
      transfer.label.flow += local * nodes;
      rails.transfers.push_back(transfer);
    }
  }
  flows.phases.push_back(std::move(rails));
  add_inside("all_gather");
  return flows;
}

double CollectivePlanner::seconds(const CollectiveFlows& flows,
                                  const std::vector<Transfer>& background) const {
  double total = 0;
  for (const CollectivePhase& phase : flows.phases) {
    std::vector<Transfer> all = phase.transfers;
    all.insert(all.end(), background.begin(), background.end());
    const std::vector<TransferResult> results = run_transfers(*paths_, all);
    double longest = 0;
    for (std::size_t i = 0; i < phase.transfers.size(); ++i) longest = std::max(longest, results[i].seconds);
    total += phase.latency_us * 1e-6 + longest;
  }
  return total;
}

double CollectivePlanner::multiprocessor_share(const CollectiveFlows& flows, int gpu) const {
  const Gpu& part = topology_->cluster().gpu(gpu);
  if (!part.streaming_multiprocessors)
    throw InputError(fmt::format(
        "gpu {}: found no number of multiprocessors, expected one to share with collectives", part.name));
  return std::min(1.0, flows.channels / part.streaming_multiprocessors->value);
}

}  // namespace sextant
