#pragma once
#include <memory>
#include <vector>

#include "tests/sim/serving/toy_run.hpp"

namespace sextant {

/// Prefill and decode replicas of toy machines, and one link of `gbps` that all KV goes over.
struct ToyPools {
  ToyPipeline prefill{}, decode{};
  int prefill_replicas = 1, decode_replicas = 1;
  std::int64_t prefill_blocks = 1000, decode_blocks = 1000;
  double gbps = 1;  ///< one byte a nanosecond
  double kv_bytes_per_token = 20'000;
  FirstToken first_token = FirstToken::decode;
  KvConnector connector = KvConnector::nixl;
  std::int64_t layers = 1;
  SimulationOptions options{};

  ServingMetrics run(const EngineOptions& engine, const Workload& workload, bool step_by_step = false) const {
    std::vector<ReplicaSetup> setups;
    for (int i = 0; i < prefill_replicas; ++i)
      setups.push_back({std::make_shared<ToyPipeline>(prefill), prefill_blocks, ReplicaRole::prefill});
    for (int i = 0; i < decode_replicas; ++i)
      setups.push_back({std::make_shared<ToyPipeline>(decode), decode_blocks, ReplicaRole::decode});
    auto fabric = std::make_shared<ServingFabric>();
    fabric->capacities = {gbps};
    const std::vector<KvFlow> flows = {{{0}, kv_bytes_per_token, {}, layers}};
    fabric->kv.assign(static_cast<std::size_t>(prefill_replicas),
                      std::vector<std::vector<KvFlow>>(static_cast<std::size_t>(decode_replicas), flows));
    SimulationOptions with = options;
    with.fabric = fabric;
    with.first_token = first_token;
    with.kv_connector = connector;
    with.step_by_step = step_by_step;
    return simulate(setups, engine, workload, with);
  }
};

}  // namespace sextant
