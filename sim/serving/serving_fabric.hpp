#pragma once
#include <functional>
#include <vector>

#include "sim/fabric/nccl_paths.hpp"
#include "sim/serving/layout.hpp"
#include "sim/serving/replica_model.hpp"
#include "sim/serving/traffic.hpp"

namespace sextant {

/// What one GPU of a prefill replica sends to one GPU of a decode replica, of each token.
struct KvFlow {
  std::vector<int> path;  ///< link directions
  double bytes_per_token = 0;
  /// Seconds of so many bytes with nobody else on the way; empty: the links alone decide.
  std::function<double(double bytes)> alone_seconds{};
  std::int64_t layers = 1;  ///< whose keys and values these are
};

/// The part of the fabric that a run's replicas and KV transfers meet on. Replicas count prefill ones first.
struct ServingFabric {
  std::vector<double> capacities;  ///< 10^9 B/s by link direction
  CongestionRules congestion{};
  /// [replica][stage]: the way of the hop to the next stage where another replica or a KV transfer can be on
  /// one of its links; empty where nobody can, so that its time is fixed.
  std::vector<std::vector<std::vector<int>>> shared_hops;
  std::vector<std::vector<std::vector<KvFlow>>> kv;  ///< [prefill replica][decode replica]

  bool shares_hops() const;
};

/// The message of a hop or flow that takes `alone` by itself, of which `latency` passes before bytes count.
Message message(const std::vector<int>& path, double bytes, Time alone, Time latency);

/// The message of so many bytes of a flow.
Message message_of(const KvFlow&, double bytes);

/// Who sends which KV to whom: every decode GPU takes its layers' and heads' keys and values from the prefill
/// GPUs that have them, from one of them where several hold the same head (NIXL's rule: rank i of n takes the
/// i-th n-th of the copies). Throws InputError where two GPUs have no way between them, and for layers that
/// keep a state instead of keys and values.
std::vector<KvFlow> kv_flows(NcclPaths&, const Topology&, const ServedModel&,
                             const std::vector<StagePlacement>& prefill, int prefill_tp,
                             const std::vector<StagePlacement>& decode, int decode_tp, CostLevel level = {});

/// The fabric of one pool of whole replicas (`prefill` null) or of two pools. Of a hop between stages it
/// keeps the way only where somebody else can be on one of its links.
ServingFabric serving_fabric(const Topology&, const ServedModel&, const Layout* prefill, const Layout& main,
                             CostLevel level = {});

}  // namespace sextant
