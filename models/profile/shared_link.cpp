#include "models/profile/shared_link.hpp"

#include <algorithm>

namespace sextant {
namespace {

constexpr double ns_per_us = 1e3;

void lengthen(TransferCurve& curve, double ns_per_byte) {
  for (std::size_t i = 0; i < curve.bytes.size(); ++i)
    curve.us[i] += curve.bytes[i] * ns_per_byte / ns_per_us;
}

/// Calls `change(line)` for every protocol of every ring operation.
template <class Change>
void for_each_line(LinkProfile& link, const Change& change) {
  if (!link.ring) return;
  for (RingOperation& operation : link.ring->operations)
    for (ProtocolLine& line : operation.protocols) change(line);
}

}  // namespace

double ring_share(const std::string& op, int ranks) {
  return (op == "all_reduce" ? 2.0 : 1.0) * (ranks - 1) / ranks;
}

LinkProfile with_longer_bytes(LinkProfile link, double ns_per_byte) {
  lengthen(link.send, ns_per_byte);
  if (link.staged) lengthen(*link.staged, ns_per_byte);
  for (CollectiveCurve& item : link.collectives)
    lengthen(item.curve, ns_per_byte * ring_share(item.op, item.ranks));
  for_each_line(link, [&](ProtocolLine& line) { line.busbw_gbps = 1 / (1 / line.busbw_gbps + ns_per_byte); });
  return link;
}

LinkProfile with_rate_left(LinkProfile link, double gbps) {
  for (CollectiveCurve& item : link.collectives)
    for (std::size_t i = 0; i < item.curve.bytes.size(); ++i)
      item.curve.us[i] = std::max(item.curve.us[i],
                                  item.curve.bytes[i] * ring_share(item.op, item.ranks) / gbps / ns_per_us);
  for_each_line(link, [&](ProtocolLine& line) { line.busbw_gbps = std::min(line.busbw_gbps, gbps); });
  return link;
}

}  // namespace sextant
