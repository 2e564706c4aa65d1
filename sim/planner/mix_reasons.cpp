#include <fmt/core.h>

#include <algorithm>

#include "models/base/error.hpp"
#include "sim/fabric/route.hpp"
#include "sim/planner/mix_parts.hpp"

namespace sextant {
namespace {

/// The share of the time that a layout's hops and collectives are on each link, as the run's stages tell.
std::map<int, double> link_use(const Topology& topology, const Candidate& best) {
  std::map<int, double> use;
  const std::vector<StageShares>& shares = best.metrics.stages;
  const auto travel = [&](const std::vector<std::pair<int, int>>& pairs, double share) {
    std::map<int, bool> once;  // the flows of one collective, or of one hop, are there at the same time
    for (const auto& [from, to] : pairs)
      if (from != to)
        for (const int link : topology.route(from, to).links) once[link] = true;
    for (const auto& [link, unused] : once) use[link] += share;
  };
  for (const auto& replica : best.layout.replicas)
    for (std::size_t s = 0; s < std::min(replica.size(), shares.size()); ++s) {
      const std::vector<int>& gpus = replica[s].gpus;
      std::vector<std::pair<int, int>> ring, hop;
      for (std::size_t i = 0; gpus.size() > 1 && i < gpus.size(); ++i)
        ring.emplace_back(gpus[i], gpus[(i + 1) % gpus.size()]);
      travel(ring, shares[s].communication);
      if (s + 1 == replica.size()) continue;
      const std::vector<int>& next = replica[s + 1].gpus;
      for (std::size_t i = 0; i < std::min(gpus.size(), next.size()); ++i) hop.emplace_back(gpus[i], next[i]);
      travel(hop, shares[s].hop_busy);
    }
  return use;
}

std::string link_name(const Cluster& cluster, int index) {
  const Link& link = cluster.links[static_cast<std::size_t>(index)];
  return fmt::format("{} - {} ({})", cluster.devices[static_cast<std::size_t>(link.from)].name,
                     cluster.devices[static_cast<std::size_t>(link.to)].name, link.kind);
}

std::string load_text(const MixModel& model, double load) {
  return model.closed ? fmt::format("{:.0f} at once", load) : fmt::format("{:.3g} requests/s", load);
}

std::string division_words(const MixDivision& division) {
  std::string text;
  for (const MixAnswer& answer : division.models)
    text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", answer.model, answer.kinds);
  return text;
}

std::string sharing_text(const MixPlan& plan) {
  const std::string apart =
      "the models are simulated apart; what they share of host processors and memory is in no figure";
  if (plan.shared.empty()) return "no link carries traffic of two models: " + apart;
  double most = 0;
  std::string who;
  for (const SharedLink& link : plan.shared)
    for (const auto& [model, slower] : link.slower)
      if (slower >= most) most = slower, who = fmt::format("{} on {}", model, link.link);
  return fmt::format(
      "{} link{} carr{} traffic of two models, whose meetings are not simulated: if all of it met, passes "
      "would "
      "take at most {:.2g} % longer ({}); {}",
      plan.shared.size(), plan.shared.size() == 1 ? "" : "s", plan.shared.size() == 1 ? "ies" : "y",
      100 * most, who, apart);
}

std::string proof_text(const MixProof& proof) {
  std::string settled;
  for (const auto& [bound, count] : proof.pruned) settled += fmt::format(", {} settled by {}", count, bound);
  std::string text = fmt::format(
      "{} divisions of the GPUs{}{}: {} estimated{}, {} simulated", proof.divisions,
      proof.every_division ? " up to the exchange of equal GPUs and nodes" : "",
      proof.every_division ? "" : " (each model the next GPUs along the nodes: there are too many others)",
      proof.estimated, settled, proof.simulated);
  if (proof.complete && proof.every_division)
    return text + "; by the estimate no division lets all loads grow further than the best estimated one";
  return text + fmt::format(
                    "; not all were settled: by the estimate no division can let all loads grow more than "
                    "{:.2g} times (a roofline), the best estimated one does {:.2g} times",
                    proof.bound, proof.best_estimate);
}

}  // namespace

std::vector<SharedLink> shared_links(const MixDivision& division) {
  std::map<int, std::map<std::string, double>> use;
  const Cluster& cluster = division.models.front().scenario.cluster;
  if (cluster.links.empty()) return {};
  const Topology topology(cluster);
  for (const MixAnswer& answer : division.models) {
    if (answer.plan.candidates.empty()) continue;
    for (const auto& [link, share] : link_use(topology, answer.plan.candidates.front()))
      use[link][answer.model] += share;
  }
  std::vector<SharedLink> shared;
  for (const auto& [link, busy] : use) {
    if (busy.size() < 2) continue;
    SharedLink one{link_name(cluster, link), busy, {}};
    // Shared evenly, a model's traffic takes as much longer as others are there, and at most as many times as
    // there are others.
    for (const auto& [model, own] : busy) {
      double others = 0;
      for (const auto& [other, share] : busy)
        if (other != model) others += share;
      one.slower[model] = std::min(own * static_cast<double>(busy.size() - 1), others);
    }
    shared.push_back(std::move(one));
  }
  return shared;
}

std::vector<std::string> explain_mix(const MixQuestion& question, const MixPlan& plan) {
  std::vector<std::string> reasons;
  const MixDivision& best = plan.best;
  reasons.push_back(fmt::format(
      "all loads can grow {:.2f} times within their SLOs; {} is the tightest{}", best.factor,
      best.models[best.tightest].model,
      best.factor < 1
          ? " (it keeps its SLO in the run at its own load; over replications that is not certain)"
          : ""));
  for (std::size_t m = 0; m < best.models.size(); ++m) {
    const MixAnswer& answer = best.models[m];
    if (!answer.load) continue;
    reasons.push_back(fmt::format(
        "{} on {} keeps its SLO up to {} ({:.2f} times its load); beyond: {}", answer.model, answer.kinds,
        load_text(question.models[m], answer.load->highest), answer.factor, answer.held_back_by));
  }
  // The next one of other sizes tells more than the same sizes on other nodes.
  const auto sizes = [](const MixDivision& division) {
    std::vector<std::size_t> gpus;
    for (const MixAnswer& answer : division.models) gpus.push_back(answer.gpus.size());
    return gpus;
  };
  for (const MixDivision& other : plan.others) {
    if (sizes(other) == sizes(best) && &other != &plan.others.back()) continue;
    const MixAnswer& tightest = other.models[other.tightest];
    const std::string missed = tightest.failure.empty() ? "" : ": " + tightest.failure;
    reasons.push_back(
        fmt::format("the next division, {}: {}, {} is the tightest{}", division_words(other),
                    other.factor > 0 ? fmt::format("{:.2f} times", other.factor) : "no load holds",
                    tightest.model, missed));
    break;
  }
  reasons.push_back(sharing_text(plan));
  reasons.push_back(proof_text(plan.proof));
  return reasons;
}

}  // namespace sextant
