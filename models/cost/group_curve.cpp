#include "models/cost/group_curve.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// Measured groups of one operation next in size to `ranks`, and how near: the weight of `above`.
struct Neighbours {
  const CollectiveCurve* below = nullptr;
  const CollectiveCurve* above = nullptr;
  double share_above = 0;
};

/// `judged_by_ring`: leave out groups whose largest sizes the switch reduced.
Neighbours neighbours(const LinkProfile& link, const std::string& op, int ranks, bool judged_by_ring) {
  Neighbours found;
  for (const CollectiveCurve& item : link.collectives) {
    if (item.op != op || &item.curve != link.collective(op, item.ranks)) continue;
    if (judged_by_ring && std::isfinite(item.nvls_from)) continue;
    if (item.ranks <= ranks && (!found.below || item.ranks > found.below->ranks)) found.below = &item;
    if (item.ranks >= ranks && (!found.above || item.ranks < found.above->ranks)) found.above = &item;
  }
  if (!found.below || !found.above) {
    found.share_above = found.above ? 1 : 0;
  } else if (found.below->ranks < found.above->ranks) {
    const double span = std::log(static_cast<double>(found.above->ranks) / found.below->ranks);
    found.share_above = std::log(static_cast<double>(ranks) / found.below->ranks) / span;
  }
  return found;
}

/// Geometric mean of a positive quantity of both neighbours.
template <class Quantity>
double between(const Neighbours& near, const Quantity& quantity) {
  double logarithm = 0;
  if (near.below && near.share_above < 1)
    logarithm += (1 - near.share_above) * std::log(quantity(*near.below));
  if (near.above && near.share_above > 0) logarithm += near.share_above * std::log(quantity(*near.above));
  return std::exp(logarithm);
}

const RingModel& ring_of(const LinkProfile& link) {
  if (!link.ring)
    throw InputError(fmt::format("link profile {} has no ring model for groups without a curve", link.name));
  return *link.ring;
}

double fitted_us(const NcclTuning& tuning, const LinkProfile& link, const RingOperation& operation, int ranks,
                 double bytes) {
  const CollectiveGroup group = group_of_link(link, operation.op, ranks);
  return line_us(protocol_line(operation, ring_protocol(tuning, group, operation.op, bytes)), operation.op,
                 ranks, bytes);
}

}  // namespace

double plateau_gbps(const CollectiveCurve& item) {
  return item.curve.bytes.back() * ring_steps(item.op, item.ranks) / item.ranks / item.curve.us.back() / 1e3;
}

CollectiveGroup group_of_link(const LinkProfile& link, const std::string& op, int ranks) {
  const RingModel& ring = ring_of(link);
  CollectiveGroup group;
  group.ranks = ranks;
  group.nvlink = link.link == "nvlink";
  group.compute_capability = ring.compute_capability;
  group.channels = ring.channels;
  group.send_channels = ring.send_channels;
  Neighbours near = neighbours(link, op, ranks, true);
  if (!near.below && !near.above) near = neighbours(link, op, ranks, false);
  if (near.below || near.above)
    group.intra_gbps = between(near, plateau_gbps);
  else if (const RingOperation* operation = ring.operation(op))
    group.intra_gbps = operation->protocols.back().busbw_gbps;
  return group;
}

int send_channels(const NcclTuning& tuning, const CollectiveGroup& group) {
  return group.send_channels > 0 ? group.send_channels
                                 : tuning.send_channels.at(group.nvlink ? "nvlink" : "pcie");
}

Protocol ring_protocol(const NcclTuning& tuning, const CollectiveGroup& group, const std::string& op,
                       double bytes) {
  if (op == "all_to_all")
    return bytes / group.ranks <= tuning.send_ll_bytes_per_channel * send_channels(tuning, group)
               ? Protocol::ll
               : Protocol::simple;
  for (const AlgorithmTime& time : nccl_times(tuning, group, op, bytes))
    if (time.algorithm == Algorithm::ring) return time.protocol;
  return Protocol::simple;
}

const ProtocolLine& protocol_line(const RingOperation& operation, Protocol protocol) {
  const auto distance = [&](const ProtocolLine& line) {
    return std::abs(static_cast<int>(protocol_named(line.protocol)) - static_cast<int>(protocol));
  };
  return *std::min_element(
      operation.protocols.begin(), operation.protocols.end(),
      [&](const ProtocolLine& a, const ProtocolLine& b) { return distance(a) < distance(b); });
}

double line_us(const ProtocolLine& line, const std::string& op, int ranks, double bytes) {
  const double steps = ring_steps(op, ranks);
  return line.base_us + steps * line.hop_us + bytes * steps / ranks / (1e3 * line.busbw_gbps);
}

std::optional<double> modelled_us(const NcclTuning& tuning, const LinkProfile& link, const std::string& op,
                                  int ranks, double bytes) {
  const RingOperation* operation = link.ring ? link.ring->operation(op) : nullptr;
  if (!operation) return std::nullopt;
  const Neighbours near = neighbours(link, op, ranks, false);
  const double correction = between(near, [&](const CollectiveCurve& item) {
    // A time at which the switch reduced says nothing of the ring; the last one before stands for it.
    double size = bytes;
    if (size >= item.nvls_from)
      for (const double measured : item.curve.bytes)
        if (measured < item.nvls_from) size = measured;
    return item.curve.time_us(size) / fitted_us(tuning, link, *operation, item.ranks, size);
  });
  return fitted_us(tuning, link, *operation, ranks, bytes) * correction;
}

std::optional<TransferCurve> modelled_curve(const NcclTuning& tuning, const LinkProfile& link,
                                            const std::string& op, int ranks) {
  constexpr double first_bytes = 512, last_bytes = 1024.0 * 1024 * 1024;
  const RingOperation* operation = link.ring ? link.ring->operation(op) : nullptr;
  if (!operation) return std::nullopt;
  TransferCurve curve;
  for (double bytes = first_bytes; bytes <= last_bytes;
       bytes *= 2) {  // NOLINT(clang-analyzer-security.FloatLoopCounter): doubles exactly
    curve.bytes.push_back(bytes);
    curve.us.push_back(*modelled_us(tuning, link, op, ranks, bytes));
  }
  const Neighbours near = neighbours(link, op, ranks, false);
  curve.spread = (near.below && near.above ? operation->between : operation->beyond).spread;
  curve.grade = weakest(Grade::scaled, link.ring->grade);
  curve.source = fmt::format("ring model of {} for {} ranks; {}", link.name, ranks, link.ring->source);
  return curve;
}

LinkProfile with_group_curves(const LinkProfile& link, int ranks) {
  LinkProfile result = link;
  if (!link.ring || ranks < 2) return result;
  std::optional<NcclTuning> tuning;
  for (const RingOperation& operation : link.ring->operations) {
    if (link.collective(operation.op, ranks)) continue;
    if (!tuning) tuning = shipped_nccl_tuning();
    result.collectives.push_back(
        {operation.op, ranks, *modelled_curve(*tuning, link, operation.op, ranks), "nccl"});
  }
  return result;
}

}  // namespace sextant
