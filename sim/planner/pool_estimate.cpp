#include "sim/planner/pool_estimate.hpp"

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "models/llm/memory.hpp"
#include "sim/planner/cluster_share.hpp"
#include "sim/serving/serving_fabric.hpp"

namespace sextant {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double GB = 1e9;

Scenario on_share(const Scenario& scenario, const std::vector<int>& gpus) {
  Scenario share = scenario;
  share.cluster = cluster_share(scenario.cluster, gpus);
  return share;
}

/// Prompts arrive as fast as they are computed; tokens are asked for by as many users as there are.
WorkloadSummary without_limit(WorkloadSummary load, ReplicaRole role) {
  if (role == ReplicaRole::prefill) load.concurrency = 0;
  load.rate = load.concurrency > 0 ? 0 : infinity;
  return load;
}

std::set<int> nodes_of(const Cluster& cluster, const std::vector<int>& gpus) {
  std::set<int> nodes;
  for (const int gpu : gpus) nodes.insert(cluster.devices[static_cast<std::size_t>(gpu)].node);
  return nodes;
}

/// 10^9 B/s into or out of those nodes together.
double network_rate(const SearchContext& context, const std::set<int>& nodes) {
  const Cluster& cluster = context.scenario.cluster;
  const auto node = [&](int device) { return cluster.devices[static_cast<std::size_t>(device)].node; };
  double rate = 0;
  for (const Link& link : cluster.links)
    if (node(link.from) != node(link.to) &&
        (nodes.contains(node(link.from)) || nodes.contains(node(link.to))))
      rate += link.gbps * link.share;
  return rate;
}

double kv_bytes_per_request(const SearchContext& context) {
  const ServedModel& model = context.scenario.model;
  const StageShape whole{{0, model.architecture.layer_count()}, 1, true, true};
  return kv_bytes_per_token(model.architecture, model.kv, whole) * context.workload.prompt;
}

}  // namespace

double PoolRates::lowest() const {
  return std::min({prefill, decode, transfer});
}

const char* PoolRates::bottleneck() const {
  if (transfer < std::min(prefill, decode)) return "the transfer of KV";
  return prefill < decode ? "the prefill pool" : "the decode pool";
}

PoolContext::PoolContext(const SearchContext& of, ReplicaRole role, const std::vector<int>& gpus)
    : scenario_(on_share(of.scenario, gpus)),
      context_{scenario_, of.machine, without_limit(of.workload, role), {}, role} {}

double transfer_rate(const SearchContext& context, const Layout& prefill, const Layout& decode) {
  const ServingFabric fabric =
      serving_fabric(context.machine.topology(), context.scenario.model, &prefill, decode);
  std::map<int, double> bytes;  // of a mean request, by link direction
  const double pairs = static_cast<double>(prefill.replicas.size() * decode.replicas.size());
  for (const auto& from : fabric.kv)
    for (const auto& to : from)
      for (const KvFlow& flow : to)
        for (const int direction : flow.path)
          bytes[direction] += flow.bytes_per_token * context.workload.prompt / pairs;
  double requests = infinity;
  for (const auto& [direction, each] : bytes)
    if (each > 0)
      requests = std::min(requests, fabric.capacities[static_cast<std::size_t>(direction)] * GB / each);
  return requests * context.workload.output;
}

double transfer_bound(const SearchContext& context, const std::vector<int>& prefill,
                      const std::vector<int>& decode) {
  const Cluster& cluster = context.scenario.cluster;
  const std::set<int> from = nodes_of(cluster, prefill), to = nodes_of(cluster, decode);
  const bool meet = std::any_of(from.begin(), from.end(), [&](int node) { return to.contains(node); });
  if (meet) return infinity;
  const double rate = std::min(network_rate(context, from), network_rate(context, to));
  return rate * GB / kv_bytes_per_request(context) * context.workload.output;
}

}  // namespace sextant
