#include "sim/validation/link_rows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

#include "models/base/error.hpp"
#include "models/cost/cost.hpp"
#include "models/hardware/catalogue.hpp"
#include "sim/serving/replica_model.hpp"
#include "sim/validation/usual_node.hpp"

namespace sextant {
namespace {

constexpr double us_per_second = 1e6;

Prediction prediction_of(const OperatorTime& time) {
  const double us = time.seconds * us_per_second;
  return {us, PredictedInterval{us * time.spread.low, us * time.spread.high}, time.grade, time.extrapolated};
}

/// The profile of the network between nodes. Throws InputError for a row that does not say how fast it is.
template <class Row>
LinkProfile network_profile(const Row& row, const std::string& gpu) {
  if (row.link == "nvlink" || row.link == "pcie")
    throw InputError(fmt::format("found {} between {} nodes, expected roce, ib or tcp", row.link, row.nodes));
  if (!row.rate_gbps)
    throw InputError(fmt::format(
        "{} between nodes without rate_gbps: the row does not say which network, expected 200 or the like",
        row.link));
  // Each GB10 sits beside a NIC of its own kind, whose two halves share one port.
  const bool spark = find_gpu(gpu).form_factor == "soc" && row.link == "roce";
  return find_link_profile(fmt::format("{}{}-{:.0f}", row.link, spark ? "-spark" : "", *row.rate_gbps));
}

/// Throws InputError where the row was measured over another link than the card's usual node has.
template <class Row>
void expect_link(const Row& row, const LinkProfile& usual, const std::string& gpu) {
  if (row.link != usual.link)
    throw InputError(
        fmt::format("{} inside a node, where {} is usually joined by {}", row.link, gpu, usual.link));
}

LinkProfile only(LinkProfile profile, const std::string& impl) {
  std::erase_if(profile.collectives, [&](const CollectiveCurve& c) { return c.impl != impl; });
  // collective_time prefers a custom kernel where it is faster; here each is asked for by itself.
  for (CollectiveCurve& collective : profile.collectives) collective.impl = "nccl";
  return profile;
}

}  // namespace

const Topology& LinkRows::node(const std::string& gpu, int gpus) {
  const std::string key = fmt::format("{} {}", gpu, gpus);
  const auto found = nodes_.find(key);
  return found != nodes_.end() ? found->second : nodes_.emplace(key, usual_node(gpu, gpus)).first->second;
}

const LinkRows::Curves& LinkRows::curves(const CollectiveRow& row, const std::string& gpu) {
  const bool staged = row.gdr.has_value() && !*row.gdr;
  const std::string key = fmt::format("{} {} {} {} {} {}", gpu, row.ranks, row.nodes, row.link,
                                      row.rate_gbps.value_or(0), staged);
  const auto found = curves_.find(key);
  if (found != curves_.end()) return found->second;
  LinkProfile profile;
  if (row.nodes > 1) {
    profile = network_profile(row, gpu);
    if (staged) profile = through_host_memory(profile);
  } else {
    const Topology& topology = node(gpu, row.ranks);
    profile = group_link(topology, topology.cluster().gpus());
    expect_link(row, profile, gpu);
  }
  return curves_.emplace(key, Curves{only(profile, "nccl"), only(profile, "custom")}).first->second;
}

Outcome LinkRows::predict(const CollectiveRow& row, const std::string& gpu) {
  if (row.ranks < 2) return NotPredicted{"one rank exchanges nothing"};
  if (row.forced())
    return NotPredicted{
        "NCCL was told its algorithm, protocol or channels: the curves are of its own choice"};
  const Curves& group = curves(row, gpu);
  const bool custom = row.impl == "custom";
  if (custom && group.custom.collective(row.op, row.ranks) == nullptr)
    return NotPredicted{
        fmt::format("link profile {} has no custom {} of {} ranks", group.custom.name, row.op, row.ranks)};
  return prediction_of(collective_time(custom ? group.custom : group.nccl, row.op, row.ranks, row.bytes));
}

Outcome LinkRows::predict(const PointToPointRow& row, const std::string& gpu) {
  if (row.channels > 0) return NotPredicted{"NCCL was told its channels: the curves are of its own choice"};
  if (row.both_ways.value_or(false))
    return NotPredicted{"both ways at once: the curves are of one way by itself"};
  if (row.nodes > 1)
    return prediction_of(send_time(network_profile(row, gpu), row.bytes, row.gdr.has_value() && !*row.gdr));
  const Topology& topology = node(gpu, row.ranks);
  const std::vector<int> gpus = topology.cluster().gpus();
  const Route route = topology.route(gpus[0], gpus[1]);
  expect_link(row, route.profile, gpu);
  const auto us = [&](double level) { return route.seconds(row.bytes, level) * us_per_second; };
  return Prediction{us(0), PredictedInterval{us(-1), us(1)}, route.grade(), false};
}

}  // namespace sextant
