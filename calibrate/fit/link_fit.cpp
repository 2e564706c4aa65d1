#include "calibrate/fit/link_fit.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "calibrate/fit/fit_report.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

/// Whether an all-reduce's bus bandwidth, 2 (n - 1) / n of size / time, exceeds what the line carries.
bool beyond_ring(const CollectiveCurve& collective, double line_gbps) {
  if (collective.op != "all_reduce") return false;
  const double share = 2.0 * (collective.ranks - 1) / collective.ranks;
  return share * collective.curve.bytes.back() / collective.curve.us.back() / 1e3 > line_gbps;
}

/// Adds a text once.
void note(std::vector<std::string>& sources, const std::string& source) {
  if (std::find(sources.begin(), sources.end(), source) == sources.end()) sources.push_back(source);
}

TransferCurve curve(const std::map<double, std::vector<double>>& times, const std::string& source,
                    const BoundedFigure& belief) {
  TransferCurve result;
  result.grade = Grade::measured;
  result.source = source;
  result.spread = spread_of(belief);
  for (const auto& [bytes, us] : times) {
    result.bytes.push_back(bytes);
    result.us.push_back(quantile(us, 0.5));
  }
  return result;
}

constexpr auto custom_impl = "custom";

/// NCCL moves bf16 and fp16 alike.
bool same_width(const std::string& first, const std::string& second) {
  const auto is_16_bit = [](const std::string& dtype) { return dtype == "fp16" || dtype == "bf16"; };
  return first == second || (is_16_bit(first) && is_16_bit(second));
}

/// A curve is of NCCL's own choices, out of place, replayed from a CUDA graph where the row tells: launches
/// from the host are the engine profile's.
template <class Row>
bool launched_one_by_one(const Row& row) {
  return row.graph && !*row.graph;
}
bool belongs_to_curve(const CollectiveRow& row) {
  return !row.forced() && !row.in_place.value_or(false) && !launched_one_by_one(row);
}
bool belongs_to_curve(const PointToPointRow& row) {
  return row.channels == 0 && !row.both_ways.value_or(false) && !launched_one_by_one(row);
}

}  // namespace

void LinkFit::add(const Measurement& measurement) {
  if (const auto* row = std::get_if<CollectiveRow>(&measurement.row)) {
    if (row->link != options_.link || row->bytes <= 0) return;
    if (row->impl == custom_impl) {
      custom_[{row->op, row->ranks}][row->bytes].push_back(row->us);
      if (!measurement.note.empty()) note(custom_kernels_, measurement.note);
      return note(custom_sources_, measurement.source);
    }
    if (!belongs_to_curve(*row)) return;
    if (!options_.dtype.empty() && !row->dtype.empty() && !same_width(row->dtype, options_.dtype)) return;
    collectives_[{row->op, row->ranks}][row->bytes].push_back(row->us);
    note(sources_, measurement.source);
  } else if (const auto* p2p = std::get_if<PointToPointRow>(&measurement.row)) {
    if (p2p->link != options_.link || p2p->bytes <= 0 || !belongs_to_curve(*p2p)) return;
    point_to_point_[p2p->bytes].push_back(p2p->us);
    note(sources_, measurement.source);
  }
}

TransferCurve LinkFit::send(const LinkRules& rules) const {
  const std::string source = fmt::format("{}", fmt::join(sources_, "; "));
  if (!point_to_point_.empty()) return curve(point_to_point_, source, rules.curve);
  const auto pair = collectives_.find({"all_to_all", 2});
  if (pair == collectives_.end())
    throw InputError(fmt::format(
        "link {}: found no p2p rows and no all_to_all of 2 ranks over {}, expected either for send",
        options_.name, options_.link));
  Times halves;
  for (const auto& [bytes, us] : pair->second) halves[bytes / 2] = us;
  TransferCurve half = curve(
      halves,
      "half the buffer of a 2-rank all_to_all, both ways at once: a lower bound of the rate of one way; " +
          source,
      rules.send_from_both_ways);
  half.grade = Grade::fitted;
  return half;
}

LinkProfile LinkFit::fit(const Assumptions& assumptions) const {
  LinkProfile profile;
  profile.name = options_.name;
  profile.link = options_.link;
  profile.provenance = options_.provenance;
  profile.line_gbps = options_.line_gbps;
  profile.send = send(assumptions.link);
  const std::string source = fmt::format("{}", fmt::join(sources_, "; "));
  for (const auto& [group, times] : collectives_) {
    CollectiveCurve collective{group.first, group.second, curve(times, source, assumptions.link.curve)};
    if (beyond_ring(collective, options_.line_gbps))
      collective.curve.source += "; faster than a ring over this line can be: reduced in the switch (NVLS)";
    profile.collectives.push_back(std::move(collective));
  }
  const CustomAllReduceRules& rules = assumptions.custom_all_reduce;
  for (const auto& [group, all_times] : custom_) {
    if (options_.link != "nvlink" && group.second > rules.most_pcie_ranks.value) continue;
    const Times times(all_times.begin(), all_times.upper_bound(rules.largest_bytes.value));
    if (times.empty()) continue;
    const std::string origin = fmt::format(
        "{}, the engine's own kernel over peer access, used up to {:.0f} B; {}",
        fmt::join(custom_kernels_, ", "), rules.largest_bytes.value, fmt::join(custom_sources_, "; "));
    profile.collectives.push_back(
        {group.first, group.second, curve(times, origin, assumptions.link.curve), custom_impl});
  }
  return profile;
}

}  // namespace sextant
