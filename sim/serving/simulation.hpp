#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "sim/serving/engine_options.hpp"
#include "sim/serving/faults.hpp"
#include "sim/serving/kv_handovers.hpp"
#include "sim/serving/metrics.hpp"
#include "sim/serving/pipeline_model.hpp"
#include "sim/serving/router.hpp"
#include "sim/serving/run_observer.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {

/// One replica's machine: its stages' times and the KV blocks its tightest stage has room for.
struct ReplicaSetup {
  std::shared_ptr<const PipelineModel> pipeline;
  std::int64_t kv_blocks = 0;
  ReplicaRole role = ReplicaRole::whole;  ///< prefill replicas stand before decode ones
  std::optional<KvPool> pool = {};        ///< how its layers share the blocks; none: each keeps every token
  /// Replicas of one number are ranks that make every pass together, in the time that the first one's
  /// pipeline gives them; of one stage each. -1: it steps alone.
  int lock_step = -1;
};

struct SimulationOptions {
  bool step_by_step = false;                ///< visit every request in every step; same results, slower
  std::uint64_t replication = 0;            ///< which independent repetition of the workload
  RequestBounds bounds;                     ///< for goodput
  const std::atomic<bool>* stop = nullptr;  ///< set by Ctrl-C: the run ends with Interrupted
  RouterOptions router;                     ///< over data-parallel replicas
  RunObserver* observer = nullptr;          ///< hears of what happens; outlives the run
  /// An open loop in which more requests than this wait and more keep coming will never drain: the run ends.
  std::int64_t most_waiting = std::int64_t{1} << 20;
  /// Replicas that go down, come back or change their speed, in order of time. Requests of one that goes down
  /// go to the others, or wait until any is up again; those that wait for ever are in flight at the end.
  std::vector<ReplicaChange> changes = {};
  /// What replicas and KV transfers share; null: nothing. Needed where prefill and decode are apart.
  std::shared_ptr<const ServingFabric> fabric{};
  FirstToken first_token = FirstToken::decode;   ///< where they are apart
  KvConnector kv_connector = KvConnector::nixl;  ///< where they are apart; p2p_nccl needs one stage a replica
  std::vector<double> percentiles = {};          ///< of each latency, in [0, 100], besides those always there
};

/// Runs the workload against replicas behind a router until every request is finished or rejected. A value
/// in, a value out: simulations share nothing. Requests without a prompt or without an output are rejected,
/// as vLLM does. Asserts arrived = finished + rejected + in flight. Throws InputError for a bad trace and for
/// a workload that never drains (with its rate, the capacity and since when), Interrupted if stopped,
/// std::logic_error (with who waits for what) if nothing moves.
ServingMetrics simulate(const std::vector<ReplicaSetup>&, const EngineOptions&, const Workload&,
                        const SimulationOptions& = {});

}  // namespace sextant
