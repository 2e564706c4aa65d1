#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"
#include "models/cost/group_curve.hpp"

namespace sextant {
namespace {

/// The curve of a network's all-reduce that reaches furthest: its plateau is the network's bandwidth.
const CollectiveCurve& network_curve(const LinkProfile& inter) {
  const CollectiveCurve* best = nullptr;
  for (const CollectiveCurve& item : inter.collectives)
    if (item.op == "all_reduce" && item.impl == "nccl" &&
        (!best || item.curve.bytes.back() > best->curve.bytes.back()))
      best = &item;
  if (!best)
    throw InputError(
        fmt::format("link profile {} has no all_reduce, whose plateau joins the nodes", inter.name));
  return *best;
}

/// The group with the bandwidth that the network's collectives reach, not what its line carries.
CollectiveGroup reached_across_nodes(const LinkProfile& intra, const LinkProfile& inter,
                                     const NodeGroup& nodes) {
  CollectiveGroup group = group_across_nodes(intra, inter, nodes);
  group.inter_gbps = plateau_gbps(network_curve(inter)) * nodes.nics;
  group.multicast = true;  // any algorithm may be asked for
  return group;
}

AlgorithmTime same(const std::vector<AlgorithmTime>& times, Algorithm algorithm, Protocol protocol) {
  for (const AlgorithmTime& time : times)
    if (time.algorithm == algorithm && time.protocol == protocol) return time;
  throw InputError(fmt::format("collective: found {} with {}, which NCCL does not have for this group",
                               to_string(algorithm), to_string(protocol)));
}

}  // namespace

CollectiveGroup group_across_nodes(const LinkProfile& intra, const LinkProfile& inter,
                                   const NodeGroup& nodes) {
  const int inside = std::max(2, (nodes.ranks + nodes.nodes - 1) / nodes.nodes);
  CollectiveGroup group = group_of_link(intra, "all_reduce", inside);
  group.ranks = nodes.ranks;
  group.nodes = nodes.nodes;
  group.cpu = nodes.cpu;
  group.inter_gbps = inter.line_gbps * nodes.nics;
  return group;
}

double timed_across_nodes(const NcclTuning& tuning, const LinkProfile& intra, const LinkProfile& inter,
                          const NodeGroup& nodes, const std::string& op, Algorithm algorithm,
                          Protocol protocol, double bytes) {
  const RingOperation* operation = intra.ring ? intra.ring->operation(op) : nullptr;
  if (!operation) throw InputError(fmt::format("link profile {} has no ring model of {}", intra.name, op));
  const CollectiveGroup group = reached_across_nodes(intra, inter, nodes);
  const ProtocolLine& line = protocol_line(*operation, protocol);
  const AlgorithmTime reached = same(nccl_times(tuning, group, op, bytes), algorithm, protocol);
  if (algorithm != Algorithm::ring && algorithm != Algorithm::tree) return reached.us * 1e-6;
  const bool one_each = algorithm == Algorithm::ring && group.ranks == group.nodes;
  const auto row = static_cast<std::size_t>(one_each ? Algorithm::tree : algorithm);
  const double network = *tuning.network_us[row][static_cast<std::size_t>(protocol)];
  const double wire_us = bytes / (1e3 * reached.algorithm_gbps);
  if (algorithm == Algorithm::tree)
    return 1e-6 *
           (line.base_us + wire_us +
            2 * ((group.ranks_per_node() - 1) * line.hop_us + std::floor(std::log2(group.nodes)) * network));
  const bool simple = protocol == Protocol::simple;
  const double crossing = ring_network_steps(op, group.nodes);
  const double overhead =
      tuning.network_overhead_us.at(group.cpu) * (simple ? tuning.simple_overhead_factor : 1);
  double latency = line.base_us + crossing * network +
                   (ring_steps(op, group.ranks) - crossing) * std::max(line.hop_us, overhead);
  if (simple) latency *= tuning.generation(group.compute_capability).ring_simple_network_factor;
  // Simple's bandwidth inside a node is the plateau that `reached` holds; the others' are fitted.
  const double inside =
      simple ? 0 : bytes * ring_steps(op, group.ranks) / group.ranks / (1e3 * line.busbw_gbps);
  return 1e-6 * (latency + std::max(wire_us, inside));
}

LinkProfile across_nodes(const LinkProfile& intra, const LinkProfile& inter, const NodeGroup& nodes) {
  constexpr double first_bytes = 512, last_bytes = 1024.0 * 1024 * 1024;
  const NcclTuning tuning = shipped_nccl_tuning();
  const CollectiveGroup group = group_across_nodes(intra, inter, nodes);
  const CollectiveCurve& network = network_curve(inter);
  LinkProfile result = inter;
  result.ring.reset();
  result.collectives.clear();
  for (const RingOperation& operation : intra.ring->operations) {
    if (operation.op == "all_to_all") continue;  // no ring: its cost across nodes is not known
    TransferCurve curve;
    for (double bytes = first_bytes; bytes <= last_bytes;
         bytes *= 2) {  // NOLINT(clang-analyzer-security.FloatLoopCounter): doubles exactly
      const AlgorithmTime chosen = nccl_times(tuning, group, operation.op, bytes).front();
      curve.bytes.push_back(bytes);
      curve.us.push_back(1e6 * timed_across_nodes(tuning, intra, inter, nodes, operation.op, chosen.algorithm,
                                                  chosen.protocol, bytes));
    }
    curve.grade = weakest(Grade::scaled, weakest(intra.ring->grade, network.curve.grade));
    curve.spread = {std::min(operation.beyond.spread.low, network.curve.spread.low),
                    std::max(operation.beyond.spread.high, network.curve.spread.high)};
    curve.source =
        fmt::format("NCCL's choice for {} ranks on {} nodes: {} inside, {} between; {}; {}", nodes.ranks,
                    nodes.nodes, intra.name, inter.name, intra.ring->source, network.curve.source);
    result.collectives.push_back({operation.op, nodes.ranks, std::move(curve), "nccl"});
  }
  return result;
}

}  // namespace sextant
