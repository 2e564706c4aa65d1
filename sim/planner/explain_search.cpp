#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/cost_tables.hpp"
#include "sim/planner/noticeable.hpp"

namespace sextant {
namespace {

int node_of(const Cluster& cluster, int gpu) {
  return cluster.devices[static_cast<std::size_t>(gpu)].node;
}

/// "branch and bound proves that no layout has a better estimate: 1,200 branches settled by roofline, …".
std::string proof_text(const SearchProof& proof, double best) {
  std::string settled;
  for (const auto& [bound, count] : proof.pruned)
    settled += fmt::format("{}{} by {}", settled.empty() ? "" : ", ", count, bound);
  if (settled.empty()) settled = "none";
  if (proof.complete)
    return fmt::format(
        "by the analytic estimate no placement, split or mixture of replicas is better: branch and bound "
        "worked out {} replicas; branches settled without: {}",
        proof.estimates, settled);
  const double gap = best > 0 && std::isfinite(proof.bound) ? 100 * (proof.bound / best - 1) : 0;
  return fmt::format(
      "too many placements to settle all: by the analytic estimate nothing can be more than {:.1f} % better "
      "than "
      "the best, {:.1f} output tokens/s (bound {:.1f}: every GPU at its best and no exchange between them); "
      "branches settled: {}",
      std::max(0.0, gap), best, proof.bound, settled);
}

/// "placement: the 8 ranks of a server, of one GPU each, stand in one node, …".
std::string sharing_placement(const Layout& layout) {
  const int ranks = layout.sharing_ranks(), servers = layout.dp / ranks;
  std::string text = fmt::format(
      "placement: {} data-parallel ranks of {} each share the experts over {} GPUs of one node and step "
      "together",
      ranks, layout.tp == 1 ? "one GPU" : fmt::format("{} GPUs", layout.tp), layout.ep);
  return servers > 1 ? text + fmt::format("; {} such servers share no link with another", servers) : text;
}

/// "scale up inside a node until tp 8, then out: …".
std::string placement_rule(const Cluster& cluster, const Layout& layout) {
  if (layout.shares_experts()) return sharing_placement(layout);
  std::size_t groups = 0, groups_inside = 0, hops = 0, hops_inside = 0, replicas_inside = 0;
  for (const auto& replica : layout.replicas) {
    std::set<int> nodes;
    for (std::size_t s = 0; s < replica.size(); ++s) {
      std::set<int> own;
      for (const int gpu : replica[s].gpus) own.insert(node_of(cluster, gpu));
      nodes.insert(own.begin(), own.end());
      if (replica[s].gpus.size() > 1) {
        ++groups;
        groups_inside += own.size() == 1 ? 1 : 0;
      }
      if (s + 1 == replica.size()) continue;
      ++hops;
      hops_inside +=
          node_of(cluster, replica[s].gpus.front()) == node_of(cluster, replica[s + 1].gpus.front()) ? 1 : 0;
    }
    replicas_inside += nodes.size() == 1 ? 1 : 0;
  }
  std::string text =
      groups == 0 ? "placement: one GPU a stage"
      : groups == groups_inside
          ? fmt::format("placement: scale up inside a node until tp {}, then out", layout.tp)
          : fmt::format("placement: tensor-parallel groups reach over nodes ({} of {} stay in one)",
                        groups_inside, groups);
  if (hops > 0)
    text += fmt::format("; of {} {} between stages {} in a node and {} over the network", hops,
                        hops == 1 ? "hop" : "hops",
                        hops_inside == 1 ? "1 stays" : fmt::format("{} stay", hops_inside),
                        hops - hops_inside == 1 ? "1 goes" : fmt::format("{} go", hops - hops_inside));
  if (layout.dp > 1)
    text += fmt::format("; {} of {} replicas stand in one node and share no link with another",
                        replicas_inside, layout.dp);
  return text;
}

/// What the split by stage time gains over vLLM's even one with the same GPUs; empty where it is even, or
/// where the even one was simulated too.
std::string gain_of_split(const SearchContext& context, const Plan& plan) {
  const Candidate& best = plan.candidates.front();
  Layout even = best.layout;
  bool same = true;
  for (auto& replica : even.replicas) {
    const std::vector<LayerRange> layers = ranges(
        even_split(context.scenario.model.architecture.layer_count(), static_cast<int>(replica.size())));
    for (std::size_t s = 0; s < replica.size(); ++s) {
      same = same && replica[s].layers == layers[s];
      replica[s].layers = layers[s];
    }
  }
  if (same) return "";
  // Simulations of both say more than estimates (explain.cpp).
  for (const Candidate& other : plan.candidates)
    if (other.choice == best.choice && other.layout.describe() == even.describe() &&
        other.layout.split() == even.split())
      return "";
  const EstimatedLayout evenly = estimate(context, even);
  if (evenly.kv_blocks <= 0) return "balancing: the even split of the same GPUs does not fit in memory";
  const double gain = 100 * (best.estimate / evenly.output_throughput - 1);
  if (gain < 100 * noticeable)
    return fmt::format(
        "balancing stages by time and memory instead of evenly gains under {} % by the estimate",
        100 * noticeable);
  return fmt::format(
      "balancing stages by time and memory instead of evenly: estimate {:.1f} output tokens/s against {:.1f} "
      "({:+.1f} %)",
      best.estimate, evenly.output_throughput, gain);
}

/// Replicas of unlike speed need a router that looks at their load.
std::string router_text(const SearchContext& context, const Candidate& best) {
  if (best.layout.dp < 2 || best.layout.shares_experts()) return "";
  CostTables tables(context);
  double slowest = 0, fastest = 0;
  for (const auto& replica : best.layout.replicas) {
    const double seconds = tables.replica(stage_choices(tables, replica), best.layout.dp).token_seconds;
    slowest = std::max(slowest, seconds);
    fastest = fastest == 0 ? seconds : std::min(fastest, seconds);
  }
  constexpr double alike = 1.05;
  if (slowest <= alike * fastest) return "";
  return fmt::format(
      "replicas differ: {:.1f} to {:.1f} ms between tokens at equal shares of the load; round_robin sends "
      "the "
      "slow ones as much as the fast ones, least_requests lets them have less",
      1e3 * fastest, 1e3 * slowest);
}

}  // namespace

std::vector<std::string> explain_search(const SearchContext& context, const Plan& plan) {
  const Candidate& best = plan.candidates.front();
  double most = 0;
  for (const Candidate& candidate : plan.candidates) most = std::max(most, candidate.estimate);
  std::vector<std::string> reasons;
  const auto add = [&](std::string text) {
    if (!text.empty()) reasons.push_back(std::move(text));
  };
  add(placement_rule(context.scenario.cluster, best.layout));
  add(gain_of_split(context, plan));
  add(router_text(context, best));
  add(proof_text(plan.proof, most));
  return reasons;
}

}  // namespace sextant
