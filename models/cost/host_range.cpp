#include "models/cost/host_range.hpp"

#include <algorithm>
#include <cmath>

#include "models/cost/group_curve.hpp"

namespace sextant {
namespace {

/// Time of other hosts over this one's: its rate over theirs.
Spread other_hosts(double gbps, double low, double high) {
  return {std::min(1.0, gbps / high), std::max(1.0, gbps / low)};
}

/// Both, as independent factors.
Spread together(const Spread& a, const Spread& b) {
  return {std::exp(-std::hypot(std::log(a.low), std::log(b.low))),
          std::exp(std::hypot(std::log(a.high), std::log(b.high)))};
}

}  // namespace

LinkProfile on_any_host(LinkProfile link) {
  if (!link.hosts) return link;
  const HostRange& hosts = *link.hosts;
  Spread widest{1, 1};
  for (CollectiveCurve& item : link.collectives) {
    const Spread others = other_hosts(plateau_gbps(item), hosts.busbw_low, hosts.busbw_high);
    item.curve.spread = together(item.curve.spread, others);
    item.curve.grade = weakest(item.curve.grade, hosts.grade);
    widest = {std::min(widest.low, others.low), std::max(widest.high, others.high)};
  }
  if (link.ring)
    for (RingOperation& operation : link.ring->operations)
      for (LeftOutErrors* errors : {&operation.between, &operation.beyond})
        errors->spread = together(errors->spread, widest);
  const double sent = link.send.bytes.back() / link.send.us.back() / 1e3;
  link.send.grade = weakest(link.send.grade, hosts.grade);
  link.send.spread = together(link.send.spread, other_hosts(sent, hosts.send_low, hosts.send_high));
  return link;
}

}  // namespace sextant
