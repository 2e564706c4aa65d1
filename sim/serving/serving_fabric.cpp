#include "sim/serving/serving_fabric.hpp"

#include <algorithm>
#include <map>

namespace sextant {
namespace {

constexpr int kv_transfers = -1, several = -2;

/// Who can be on each link direction: a replica's number, the KV transfers, or more than one of them.
class Users {
 public:
  void add(const std::vector<int>& path, int user) {
    for (const int direction : path) {
      const auto [known, is_new] = user_of_.try_emplace(direction, user);
      if (!is_new && known->second != user) known->second = several;
    }
  }
  bool shared(const std::vector<int>& path) const {
    return std::any_of(path.begin(), path.end(), [&](int d) { return user_of_.at(d) == several; });
  }

 private:
  std::map<int, int> user_of_;
};

void add_hops(NcclPaths& paths, const Layout& layout, ServingFabric& fabric) {
  for (const auto& stages : layout.replicas) {
    std::vector<std::vector<int>> hops(stages.size());
    for (std::size_t s = 0; s + 1 < stages.size(); ++s)
      hops[s] = paths.path(stages[s].gpus.front(), stages[s + 1].gpus.front()).directions;
    fabric.shared_hops.push_back(std::move(hops));
  }
}

}  // namespace

bool ServingFabric::shares_hops() const {
  for (const auto& replica : shared_hops)
    for (const auto& path : replica)
      if (!path.empty()) return true;
  return false;
}

Message message(const std::vector<int>& path, double bytes, Time alone, Time latency) {
  if (alone <= latency || bytes <= 0) return {path, 0, FlowEngine::no_limit, alone};
  return {path, bytes, bytes / static_cast<double>((alone - latency).ns), latency};
}

Message message_of(const KvFlow& flow, double bytes) {
  if (!flow.alone_seconds) return {flow.path, bytes};
  return message(flow.path, bytes, Time::seconds(flow.alone_seconds(bytes)),
                 Time::seconds(flow.alone_seconds(0)));
}

ServingFabric serving_fabric(const Topology& topology, const ServedModel& model, const Layout* prefill,
                             const Layout& main, CostLevel level) {
  ServingFabric fabric;
  const bool one_replica = prefill == nullptr && main.dp == 1;
  const bool has_hops = main.pp > 1 || (prefill != nullptr && prefill->pp > 1);
  if (one_replica || (prefill == nullptr && !has_hops)) return fabric;
  NcclPaths paths(topology.cluster());
  fabric.capacities = paths.capacities();
  fabric.congestion = congestion_rules(topology.cluster());
  if (prefill != nullptr) add_hops(paths, *prefill, fabric);
  add_hops(paths, main, fabric);
  if (prefill != nullptr)
    for (const auto& from : prefill->replicas) {
      fabric.kv.emplace_back();
      for (const auto& to : main.replicas)
        fabric.kv.back().push_back(
            kv_flows(paths, topology, model, from, tensor_parallel(from), to, tensor_parallel(to), level));
    }

  Users users;
  for (std::size_t r = 0; r < fabric.shared_hops.size(); ++r)
    for (const auto& hop : fabric.shared_hops[r]) users.add(hop, static_cast<int>(r));
  for (const auto& from : fabric.kv)
    for (const auto& to : from)
      for (const KvFlow& flow : to) users.add(flow.path, kv_transfers);
  for (auto& hops : fabric.shared_hops)
    for (auto& hop : hops)
      if (!users.shared(hop)) hop.clear();
  return fabric;
}

}  // namespace sextant
