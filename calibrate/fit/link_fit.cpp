#include "calibrate/fit/link_fit.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calibrate/fit/fit_report.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

/// Repeated measurements of one collective on one machine differ by about as much.
constexpr Spread same_machine = {0.9, 1.1};
/// The other way's traffic at the same time may have cost up to a third of the rate.
constexpr Spread from_both_ways = {0.7, 1.1};

/// Whether an all-reduce's bus bandwidth, 2 (n - 1) / n of size / time, exceeds what the line carries.
bool beyond_ring(const CollectiveCurve& collective, double line_gbps) {
  if (collective.op != "all_reduce") return false;
  const double share = 2.0 * (collective.ranks - 1) / collective.ranks;
  return share * collective.curve.bytes.back() / collective.curve.us.back() / 1e3 > line_gbps;
}

}  // namespace

void LinkFit::add(const Measurement& measurement) {
  const auto from_here = [&] {
    if (std::find(sources_.begin(), sources_.end(), measurement.source) == sources_.end())
      sources_.push_back(measurement.source);
  };
  if (const auto* row = std::get_if<CollectiveRow>(&measurement.row)) {
    const bool other_type = !options_.dtype.empty() && !row->dtype.empty() && row->dtype != options_.dtype;
    if (row->link != options_.link || row->impl == "custom" || other_type || row->bytes <= 0) return;
    collectives_[{row->op, row->ranks}][row->bytes].push_back(row->us);
    from_here();
  } else if (const auto* p2p = std::get_if<PointToPointRow>(&measurement.row)) {
    if (p2p->link != options_.link || p2p->bytes <= 0) return;
    point_to_point_[p2p->bytes].push_back(p2p->us);
    from_here();
  }
}

TransferCurve LinkFit::curve(const Times& times, const std::string& source) const {
  TransferCurve result;
  result.grade = Grade::measured;
  result.source = source;
  result.spread = same_machine;
  for (const auto& [bytes, us] : times) {
    result.bytes.push_back(bytes);
    result.us.push_back(quantile(us, 0.5));
  }
  return result;
}

LinkProfile LinkFit::fit() const {
  const std::string source = fmt::format("{}", fmt::join(sources_, "; "));
  LinkProfile profile;
  profile.name = options_.name;
  profile.link = options_.link;
  profile.provenance = options_.provenance;
  profile.line_gbps = options_.line_gbps;
  if (!point_to_point_.empty()) {
    profile.send = curve(point_to_point_, source);
  } else {
    const auto pair = collectives_.find({"all_to_all", 2});
    if (pair == collectives_.end())
      throw InputError(fmt::format(
          "link {}: found no p2p rows and no all_to_all of 2 ranks over {}, expected either for send",
          options_.name, options_.link));
    Times halves;
    for (const auto& [bytes, us] : pair->second) halves[bytes / 2] = us;
    profile.send = curve(
        halves,
        "half the buffer of a 2-rank all_to_all, both ways at once: a lower bound of the rate of one way; " +
            source);
    profile.send.grade = Grade::fitted;
    profile.send.spread = from_both_ways;
  }
  for (const auto& [key, times] : collectives_) {
    CollectiveCurve collective{key.first, key.second, curve(times, source)};
    if (beyond_ring(collective, options_.line_gbps))
      collective.curve.source += "; faster than a ring over this line can be: reduced in the switch (NVLS)";
    profile.collectives.push_back(std::move(collective));
  }
  return profile;
}

}  // namespace sextant
