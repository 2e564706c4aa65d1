#include "calibrate/fit/link_fit.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// The smallest size at which an all-reduce's bus bandwidth, 2 (n - 1) / n of size / time, exceeds the line.
double first_beyond_line(const CollectiveCurve& collective, double line_gbps) {
  const double share = 2.0 * (collective.ranks - 1) / collective.ranks;
  if (collective.op == "all_reduce")
    for (std::size_t i = 0; i < collective.curve.bytes.size(); ++i)
      if (share * collective.curve.bytes[i] / collective.curve.us[i] / 1e3 > line_gbps)
        return collective.curve.bytes[i];
  return std::numeric_limits<double>::infinity();
}

/// Adds a text once.
void note(std::vector<std::string>& sources, const std::string& source) {
  if (std::find(sources.begin(), sources.end(), source) == sources.end()) sources.push_back(source);
}

constexpr auto custom_impl = "custom";

/// NCCL moves bf16 and fp16 alike; nccl-tests calls them bfloat16 and half.
bool same_width(const std::string& first, const std::string& second) {
  const auto is_16_bit = [](const std::string& dtype) {
    return dtype == "fp16" || dtype == "bf16" || dtype == "half" || dtype == "bfloat16";
  };
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
    if (!belongs_to_curve(*row) || !link_operation(row->op)) return;
    if (!options_.dtype.empty() && !row->dtype.empty() && !same_width(row->dtype, options_.dtype)) {
      ++other_types_[row->dtype];
      return;
    }
    const Group group{row->op, row->ranks};
    collectives_[group][row->bytes].push_back(row->us);
    if (row->nvls.value_or(false)) {
      const auto [known, first] = nvls_from_.try_emplace(group, row->bytes);
      known->second = std::min(known->second, row->bytes);
    }
    note(sources_, measurement.source);
  } else if (const auto* p2p = std::get_if<PointToPointRow>(&measurement.row)) {
    if (p2p->link != options_.link || p2p->bytes <= 0 || !belongs_to_curve(*p2p)) return;
    point_to_point_[p2p->bytes].push_back(p2p->us);
    note(sources_, measurement.source);
  }
}

TransferCurve LinkFit::send(const LinkRules& rules) const {
  const std::string source = fmt::format("{}", fmt::join(sources_, "; "));
  if (!point_to_point_.empty()) {
    TransferCurve direct = fit_curve(point_to_point_, rules).thinned;
    direct.source = source;
    return direct;
  }
  const auto pair = collectives_.find({"all_to_all", 2});
  if (pair == collectives_.end() && options_.rest) return options_.rest->send;
  if (pair == collectives_.end())
    throw InputError(fmt::format(
        "link {}: found no p2p rows and no all_to_all of 2 ranks over {}, expected either for send, or "
        "--rest-from a link profile that has it",
        options_.name, options_.link));
  TimesBySize halves;
  for (const auto& [bytes, us] : pair->second) halves[bytes / 2] = us;
  LinkRules both_ways = rules;
  both_ways.curve = rules.send_from_both_ways;
  TransferCurve half = fit_curve(halves, both_ways).thinned;
  half.source =
      "half the buffer of a 2-rank all_to_all, both ways at once: a lower bound of the rate of one way; " +
      source;
  half.grade = Grade::fitted;
  return half;
}

void LinkFit::add_nccl_curves(const LinkRules& rules, LinkProfile& profile, LinkFitReport& report) const {
  const std::string source = fmt::format("{}", fmt::join(sources_, "; "));
  for (const auto& [group, times] : collectives_) {
    CurveFit fit = fit_curve(times, rules);
    CollectiveCurve collective{group.first, group.second, fit.full, "nccl"};
    const auto marked = nvls_from_.find(group);
    if (marked != nvls_from_.end()) collective.nvls_from = marked->second;
    collective.nvls_from = std::min(collective.nvls_from, first_beyond_line(collective, options_.line_gbps));
    collective.curve.source = source;
    if (std::isfinite(collective.nvls_from))
      collective.curve.source += fmt::format(
          "; from {:.0f} B faster than a ring over this line can be: reduced in the switch (NVLS)",
          collective.nvls_from);
    profile.collectives.push_back(std::move(collective));
    report.curves.push_back({group.first, "nccl", group.second, std::move(fit)});
  }
}

void LinkFit::add_custom_curves(const Assumptions& assumptions, LinkProfile& profile,
                                LinkFitReport& report) const {
  const CustomAllReduceRules& rules = assumptions.custom_all_reduce;
  for (const auto& [group, all_times] : custom_) {
    if (options_.link != "nvlink" && group.second > rules.most_pcie_ranks.value) continue;
    const TimesBySize times(all_times.begin(), all_times.upper_bound(rules.largest_bytes.value));
    if (times.empty()) continue;
    CurveFit fit = fit_curve(times, assumptions.link);
    fit.thinned.source = fmt::format("{}, the engine's own kernel over peer access, used up to {:.0f} B; {}",
                                     fmt::join(custom_kernels_, ", "), rules.largest_bytes.value,
                                     fmt::join(custom_sources_, "; "));
    profile.collectives.push_back({group.first, group.second, fit.thinned, custom_impl});
    report.curves.push_back({group.first, custom_impl, group.second, std::move(fit)});
  }
}

void LinkFit::add_rest(LinkProfile& profile) const {
  if (!options_.rest) return;
  for (const CollectiveCurve& other : options_.rest->collectives) {
    const bool known = other.impl == custom_impl ? profile.custom(other.op, other.ranks) != nullptr
                                                 : profile.collective(other.op, other.ranks) != nullptr;
    if (!known) profile.collectives.push_back(other);
  }
  if (!profile.staged) profile.staged = options_.rest->staged;
  profile.ring = options_.rest->ring;
  profile.rank_wait_us = options_.rest->rank_wait_us;
}

/// A ring model that came with the rest knows more group sizes than this machine's own curves, which know
/// this machine's NCCL: what LL's first channel saves, and the all-to-alls where they take other channels.
void LinkFit::refine_ring(const LinkProfile& own, RingModel& ring) const {
  RingFitReport unused;
  const std::optional<RingModel> fitted =
      fit_ring(shipped_nccl_tuning(), own, ring.compute_capability, unused);
  if (!fitted) return;
  if (fitted->one_channel) ring.one_channel = fitted->one_channel;
  const RingOperation* sends = fitted->operation("all_to_all");
  if (sends == nullptr || fitted->send_channels == ring.send_channels) return;
  ring.send_channels = fitted->send_channels;
  for (RingOperation& operation : ring.operations)
    if (operation.op == sends->op) operation = *sends;
}

LinkProfile LinkFit::fit(const Assumptions& assumptions) const {
  LinkFitReport report;
  return fit(assumptions, report);
}

void LinkFit::require_rows() const {
  if (!collectives_.empty() || !custom_.empty() || !point_to_point_.empty()) return;
  std::string others;
  for (const auto& [dtype, rows] : other_types_) others += fmt::format(", {} of {}", rows, dtype);
  throw InputError(fmt::format("link {}: found no rows over {} to fit{}, expected collectives of {} or p2p{}",
                               options_.name, options_.link, others.empty() ? "" : " but" + others.substr(1),
                               options_.dtype.empty() ? "any type" : options_.dtype,
                               others.empty() ? "" : " (nccl-tests -d half)"));
}

LinkProfile LinkFit::fit(const Assumptions& assumptions, LinkFitReport& report) const {
  require_rows();
  LinkProfile profile;
  profile.name = options_.name;
  profile.link = options_.link;
  profile.provenance = options_.provenance;
  profile.line_gbps = options_.line_gbps;
  profile.send = send(assumptions.link);
  add_nccl_curves(assumptions.link, profile, report);
  const std::size_t own = profile.collectives.size();
  const LinkProfile alone = profile;
  add_rest(profile);
  if (options_.compute_capability > 0 && !profile.ring) {
    profile.ring = fit_ring(shipped_nccl_tuning(), profile, options_.compute_capability, report.ring);
    if (profile.ring)
      profile.ring->source = fmt::format(
          "lines fitted to the curves above, sorted by the protocol that NCCL's tables choose (nccl-tuning); "
          "spread: groups left out and predicted from the others");
  }
  if (options_.rest && profile.ring) refine_ring(alone, *profile.ring);
  // The ring model was fitted to every size; what the profile keeps are the points that tell.
  for (std::size_t i = 0; i < own; ++i) {
    std::string source = std::move(profile.collectives[i].curve.source);
    profile.collectives[i].curve = report.curves[i].fit.thinned;
    profile.collectives[i].curve.source = std::move(source);
  }
  add_custom_curves(assumptions, profile, report);
  return profile;
}

}  // namespace sextant
