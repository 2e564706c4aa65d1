#include "reports/launch/nccl_traffic.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>

#include "models/base/error.hpp"
#include "models/cost/group_curve.hpp"
#include "reports/number_text.hpp"
#include "sim/fabric/route.hpp"

namespace sextant {
namespace {

constexpr double bytes_per_activation = 2;  // hidden states travel in 16 bit

int node_of(const Cluster& cluster, int gpu) {
  return cluster.devices[static_cast<std::size_t>(gpu)].node;
}

std::map<int, std::vector<int>> by_node(const Cluster& cluster, const std::vector<int>& gpus) {
  std::map<int, std::vector<int>> nodes;
  for (const int gpu : gpus) nodes[node_of(cluster, gpu)].push_back(gpu);
  return nodes;
}

/// Notes two GPUs of one node that no NVLink joins and that are peers.
void note_peers(const Cluster& cluster, int a, int b, NcclTraffic& traffic) {
  if (traffic.inside_pcie_peers || a == b || node_of(cluster, a) != node_of(cluster, b)) return;
  const Node& node = cluster.nodes[static_cast<std::size_t>(node_of(cluster, a))];
  if (!node.peer_to_peer || find_node_type(node.type).gpu_link != "pcie") return;
  traffic.inside_pcie_peers = true;
  traffic.peer_a = a;
  traffic.peer_b = b;
}

void note_hop(const Cluster& cluster, const std::vector<StagePlacement>& stages, std::size_t s,
              const Candidate& candidate, NcclTraffic& traffic) {
  const int from = stages[s].gpus.front(), to = stages[s + 1].gpus.front();
  note_peers(cluster, from, to, traffic);
  if (node_of(cluster, from) == node_of(cluster, to)) return;
  traffic.between_nodes = true;
  if (s >= candidate.stages.size()) return;
  const StageReport& report = candidate.stages[s];
  if (traffic.sender >= 0 && report.chunk_hop_bytes <= traffic.chunk_hop_bytes) return;
  traffic.sender = from;
  traffic.receiver = to;
  traffic.decode_hop_bytes = report.decode_hop_bytes;
  traffic.chunk_hop_bytes = report.chunk_hop_bytes;
}

void note_group(const Cluster& cluster, const std::vector<int>& gpus, NcclTraffic& traffic) {
  if (gpus.size() < 2) return;
  const auto nodes = by_node(cluster, gpus);
  traffic.between_nodes = traffic.between_nodes || nodes.size() > 1;
  for (const auto& [node, members] : nodes)
    if (members.size() > 1) note_peers(cluster, members[0], members[1], traffic);
  if (traffic.group.empty() || nodes.size() > by_node(cluster, traffic.group).size()) traffic.group = gpus;
}

/// Milliseconds of the same message over the cluster as it is and as changed; empty where one has no model.
std::string compare(const Cluster& with, const Cluster& without, int from, int to, double bytes,
                    const std::string& what, const std::string& otherwise) {
  if (from < 0 || to < 0 || bytes <= 0) return "";
  try {
    const Route good = Topology(with).route(from, to), bad = Topology(without).route(from, to);
    return fmt::format("the fabric's model: {} of {} takes {} ms, {} ms {} ({}; {})", what, bytes_text(bytes),
                       number_text(1e3 * good.seconds(bytes)), number_text(1e3 * bad.seconds(bytes)),
                       otherwise, good.medium, to_string(weakest(good.grade(), bad.grade())));
  } catch (const InputError&) {
    return "";
  }
}

std::string chosen_text(const AlgorithmTime& time, double bytes) {
  return fmt::format("{} {} at {}", to_string(time.algorithm), to_string(time.protocol), bytes_text(bytes));
}

}  // namespace

NcclTraffic nccl_traffic(const Scenario& scenario, const Candidate& candidate) {
  const Cluster& cluster = scenario.cluster;
  NcclTraffic traffic;
  for (const auto& stages : candidate.layout.replicas)
    for (std::size_t s = 0; s < stages.size(); ++s) {
      note_group(cluster, stages[s].expert_gpus.empty() ? stages[s].gpus : stages[s].expert_gpus, traffic);
      if (s + 1 < stages.size()) note_hop(cluster, stages, s, candidate, traffic);
    }
  const double per_token = bytes_per_activation * static_cast<double>(scenario.model.architecture.hidden);
  traffic.decode_reduce_bytes = per_token * static_cast<double>(candidate.decode_batch);
  traffic.chunk_reduce_bytes = per_token * static_cast<double>(candidate.chunk_tokens);
  for (const Node& node : cluster.nodes)
    traffic.nics = std::max(traffic.nics, static_cast<int>(node.nics.size()));
  traffic.through_switch =
      std::any_of(cluster.devices.begin(), cluster.devices.end(),
                  [](const Device& device) { return device.kind == DeviceKind::network_switch; });
  return traffic;
}

std::string gpudirect_evidence(const Scenario& scenario, const NcclTraffic& traffic) {
  Cluster with = scenario.cluster, without = scenario.cluster;
  with.network.gpudirect = true;
  without.network.gpudirect = false;
  return compare(with, without, traffic.sender, traffic.receiver, traffic.chunk_hop_bytes,
                 "a prefill chunk's hop", "staged in host memory");
}

std::string peer_evidence(const Scenario& scenario, const NcclTraffic& traffic) {
  Cluster without = scenario.cluster;
  for (Node& node : without.nodes) node.peer_to_peer = false;
  return compare(scenario.cluster, without, traffic.peer_a, traffic.peer_b, traffic.chunk_reduce_bytes,
                 "a prefill chunk's hidden states", "staged in host memory");
}

std::string algorithm_evidence(const NcclTraffic& traffic, const Cluster& cluster) {
  if (traffic.group.empty()) return "";
  constexpr double mebibyte = 1048576;
  std::vector<double> sizes = {traffic.decode_reduce_bytes, traffic.chunk_reduce_bytes, 64 * mebibyte,
                               256 * mebibyte};
  std::sort(sizes.begin(), sizes.end());
  try {
    const NcclTuning tuning = shipped_nccl_tuning();
    const auto nodes = by_node(cluster, traffic.group);
    const Topology topology(cluster);
    std::vector<std::string> choices;
    if (nodes.size() == 1) {
      const LinkProfile link = topology.slowest_route(traffic.group).profile;
      const CollectiveGroup group = group_of_link(link, "all_reduce", static_cast<int>(traffic.group.size()));
      for (const double bytes : sizes)
        if (bytes > 0)
          choices.push_back(chosen_text(nccl_times(tuning, group, "all_reduce", bytes).front(), bytes));
      return fmt::format("NCCL's own tables choose {}", fmt::join(choices, ", "));
    }
    const auto widest = std::max_element(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) {
      return a.second.size() < b.second.size();
    });
    if (widest->second.size() < 2) return "";
    std::vector<int> one_each;
    for (const auto& [node, members] : nodes) one_each.push_back(members.front());
    const LinkProfile inside = topology.slowest_route(widest->second).profile;
    const LinkProfile between = topology.slowest_route(one_each).profile;
    NodeGroup shape{static_cast<int>(traffic.group.size()), static_cast<int>(nodes.size()),
                    std::max(1, std::min(traffic.nics, static_cast<int>(widest->second.size()))), "intel"};
    const CollectiveGroup group = group_across_nodes(inside, between, shape);
    for (const double bytes : sizes) {
      if (bytes <= 0) continue;
      const auto times = nccl_times(tuning, group, "all_reduce", bytes);
      const auto best = [&](Algorithm algorithm) {
        double us = 0;
        for (const AlgorithmTime& time : times)
          if (time.algorithm == algorithm) {
            const double seconds = timed_across_nodes(tuning, inside, between, shape, "all_reduce", algorithm,
                                                      time.protocol, bytes);
            us = us == 0 ? 1e6 * seconds : std::min(us, 1e6 * seconds);
          }
        return us;
      };
      choices.push_back(fmt::format("{} (ring {} us, tree {} us)", chosen_text(times.front(), bytes),
                                    number_text(best(Algorithm::ring)), number_text(best(Algorithm::tree))));
    }
    return fmt::format("NCCL's own tables choose, with the fitted links' times beside: {}",
                       fmt::join(choices, ", "));
  } catch (const InputError&) {
    return "";
  }
}

}  // namespace sextant
