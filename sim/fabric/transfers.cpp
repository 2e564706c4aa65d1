#include "sim/fabric/transfers.hpp"

#include <algorithm>
#include <cmath>
#include <map>

namespace sextant {
namespace {

constexpr double endless_bytes = 1e30;

FlowEngine flow_engine(const NcclPaths& paths) {
  return FlowEngine(paths.capacities(), congestion_rules(paths.cluster()));
}

std::string bottleneck_name(const NcclPaths& paths, int link) {
  return link == FlowEngine::own_limit ? "its own limit" : paths.name(link);
}

/// Every transfer as a flow of an engine, all begun at once.
struct Running {
  FlowEngine engine;
  std::vector<TransferResult> results;
  std::vector<FlowId> ids;  ///< by transfer; meaningless on the same GPU

  Running(NcclPaths& paths, const std::vector<Transfer>& transfers) : engine(flow_engine(paths)) {
    for (const Transfer& transfer : transfers) {
      results.push_back(
          {paths.path(transfer.from_gpu, transfer.to_gpu, transfer.label), 0, 0, 0, false, "the same GPU"});
      const std::vector<int>& way = results.back().path.directions;
      ids.push_back(way.empty() ? 0 : engine.start({}, way, endless_bytes, transfer.limit_gbps));
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (results[i].path.directions.empty()) continue;
      results[i].gbps = engine.rate(ids[i]);
      results[i].queue_us = engine.queue_us(results[i].path.directions);
      results[i].paused = engine.held_by_pauses(ids[i]);
      results[i].bottleneck = bottleneck_name(paths, engine.bottleneck(ids[i]));
    }
  }
};

}  // namespace

std::vector<TransferResult> steady_rates(NcclPaths& paths, const std::vector<Transfer>& transfers) {
  return Running(paths, transfers).results;
}

std::vector<TransferResult> run_transfers(NcclPaths& paths, const std::vector<Transfer>& transfers) {
  constexpr double ns_per_us = 1e3;
  std::vector<TransferResult> results = steady_rates(paths, transfers);
  std::vector<ScheduledFlow> flows;
  std::vector<std::size_t> owners;
  for (std::size_t i = 0; i < transfers.size(); ++i) {
    const TransferPath& path = results[i].path;
    if (path.directions.empty()) continue;
    const double latency_us = transfers[i].waits_for_links ? path.latency_us : 0;
    const Time latency{std::llround(latency_us * ns_per_us)};
    flows.push_back(
        {transfers[i].start, path.directions, transfers[i].bytes, transfers[i].limit_gbps, latency});
    owners.push_back(i);
  }
  const std::vector<Time> ends = run_schedule(flow_engine(paths), flows);
  for (std::size_t f = 0; f < ends.size(); ++f)
    results[owners[f]].seconds = (ends[f] - flows[f].start).seconds();
  return results;
}

std::vector<LinkLoad> bottleneck_links(NcclPaths& paths, const std::vector<Transfer>& transfers) {
  Running running(paths, transfers);
  std::map<int, int> flows;
  for (std::size_t i = 0; i < running.results.size(); ++i)
    if (!running.results[i].path.directions.empty())
      if (const int link = running.engine.bottleneck(running.ids[i]); link != FlowEngine::own_limit)
        ++flows[link];
  std::vector<LinkLoad> loads;
  for (const auto& [link, count] : flows)
    loads.push_back({paths.name(link), running.engine.load(link), running.engine.capacity(link), count});
  std::stable_sort(loads.begin(), loads.end(),
                   [](const LinkLoad& a, const LinkLoad& b) { return a.flows > b.flows; });
  return loads;
}

}  // namespace sextant
