#include <fmt/core.h>

#include <map>
#include <memory>
#include <tuple>
#include <utility>

#include "models/base/error.hpp"
#include "sim/serving/serving_fabric.hpp"

// Which GPU of a decode replica takes which keys and values from which GPU of a prefill replica.

namespace sextant {
namespace {

/// The heads of keys and values of a layer (0: it keeps none); a latent vector counts as one that every GPU
/// of a group holds.
std::int64_t kv_heads(const TokenMixer& mixer, const Architecture& architecture) {
  if (const auto* attention = std::get_if<GroupedQueryAttention>(&mixer)) return attention->kv_heads;
  if (std::holds_alternative<LatentAttention>(mixer)) return 1;
  if (!std::holds_alternative<Mamba2>(mixer)) return 0;
  throw InputError(
      fmt::format("deployment: found layers of {} that keep a state, expected attention in all layers: the "
                  "transfer of states from prefill to decode is not modelled",
                  architecture.name));
}

/// Of `ranks` GPUs that share `heads` heads: how many hold each head, and who is first.
struct HeadOwners {
  std::int64_t first = 0, count = 1;
};
HeadOwners owners(std::int64_t head, std::int64_t heads, std::int64_t ranks) {
  if (ranks <= heads) return {head * ranks / heads, 1};
  const std::int64_t copies = ranks / heads;
  return {head * copies, copies};
}

const StagePlacement& stage_of(const std::vector<StagePlacement>& stages, int layer) {
  for (const StagePlacement& stage : stages)
    if (layer < stage.layers.end) return stage;
  return stages.back();
}

struct PairKv {
  double bytes = 0;
  std::int64_t layers = 0;
  int last_layer = -1;
};

/// What of a token goes from each sender to each receiver.
std::map<std::pair<int, int>, PairKv> kv_by_pair(const ServedModel& model,
                                                 const std::vector<StagePlacement>& prefill, int prefill_tp,
                                                 const std::vector<StagePlacement>& decode, int decode_tp) {
  const Architecture& architecture = model.architecture;
  std::map<std::pair<int, int>, PairKv> pairs;
  for (int layer = 0; layer < architecture.layer_count(); ++layer) {
    const TokenMixer& mixer = architecture.layer(layer).mixer;
    const std::int64_t heads = kv_heads(mixer, architecture);
    StageShape one_layer;
    one_layer.layers = {layer, layer + 1};
    const double head_bytes =
        kv_bytes_per_token(architecture, model.kv, one_layer) / static_cast<double>(heads);
    const StagePlacement &from = stage_of(prefill, layer), &to = stage_of(decode, layer);
    for (std::int64_t head = 0; head < heads; ++head) {
      const HeadOwners senders = owners(head, heads, prefill_tp), receivers = owners(head, heads, decode_tp);
      for (std::int64_t i = 0; i < receivers.count; ++i) {
        const std::int64_t sender = senders.first + i * senders.count / receivers.count;
        PairKv& pair = pairs[{from.gpus[static_cast<std::size_t>(sender)],
                              to.gpus[static_cast<std::size_t>(receivers.first + i)]}];
        pair.bytes += head_bytes;
        pair.layers += std::exchange(pair.last_layer, layer) != layer ? 1 : 0;
      }
    }
  }
  return pairs;
}

}  // namespace

std::vector<KvFlow> kv_flows(NcclPaths& paths, const Topology& topology, const ServedModel& model,
                             const std::vector<StagePlacement>& prefill, int prefill_tp,
                             const std::vector<StagePlacement>& decode, int decode_tp, CostLevel level) {
  // Routes of one kind share their curve.
  std::map<std::tuple<std::string, RouteKind, double, double>, std::shared_ptr<const Route>> routes;
  std::vector<KvFlow> flows;
  for (const auto& [pair, kv] : kv_by_pair(model, prefill, prefill_tp, decode, decode_tp)) {
    const auto [from, to] = pair;
    KvFlow flow;
    flow.path = paths.path(from, to).directions;
    flow.bytes_per_token = kv.bytes;
    flow.layers = kv.layers;
    Route route = topology.route(from, to);
    std::shared_ptr<const Route>& known =
        routes[{route.profile.name, route.kind, route.bottleneck_gbps, route.queue_us}];
    if (!known) known = std::make_shared<const Route>(std::move(route));
    flow.alone_seconds = [route = known, level](double size) {
      return route->seconds(size, level.of(Family::point_to_point)) * level.scale;
    };
    flows.push_back(std::move(flow));
  }
  return flows;
}

}  // namespace sextant
