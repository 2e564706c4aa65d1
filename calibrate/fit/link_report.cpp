#include <fmt/core.h>

#include "calibrate/fit/link_fit.hpp"

namespace sextant {
namespace {

void append(TimePairs& all, const TimePairs& pairs) {
  all.predicted.insert(all.predicted.end(), pairs.predicted.begin(), pairs.predicted.end());
  all.measured.insert(all.measured.end(), pairs.measured.begin(), pairs.measured.end());
}

}  // namespace

NcclErrors nccl_errors(const LinkFitReport& report) {
  TimePairs shipped, left_out;
  for (const LinkFitReport::Curve& curve : report.curves) {
    if (curve.impl != "nccl") continue;
    append(shipped, curve.fit.shipped_pairs);
    append(left_out, curve.fit.left_out_pairs);
  }
  return {summarise_errors(shipped.predicted, shipped.measured),
          summarise_errors(left_out.predicted, left_out.measured)};
}

std::string report_text(const LinkFitReport& report) {
  std::string text = fmt::format("{:<16}{:>6}{:>8}{:>6}{:>6}{:>10}{:>10}{:>7}{:>15}{:>7}{:>20}{:>7}\n",
                                 "curve", "ranks", "impl", "rows", "kept", "outliers", "disagree", "falls",
                                 "shipped: med %", "p90 %", "size left out: med", "p90 %");
  for (const LinkFitReport::Curve& curve : report.curves)
    text += fmt::format("{:<16}{:>6}{:>8}{:>6}{:>6}{:>10}{:>10}{:>7}{:>15.2f}{:>7.2f}{:>20.2f}{:>7.2f}\n",
                        curve.op, curve.ranks, curve.impl, curve.fit.rows, curve.fit.thinned.bytes.size(),
                        curve.fit.outliers, curve.fit.disagreeing, curve.fit.falls,
                        100 * curve.fit.shipped.median, 100 * curve.fit.shipped.p90,
                        100 * curve.fit.left_out.median, 100 * curve.fit.left_out.p90);
  const NcclErrors all = nccl_errors(report);
  text += fmt::format(
      "all NCCL curves: shipped median {:.2f} %, p90 {:.2f} %; sizes left out median {:.2f} %, p90 {:.2f} "
      "%\n",
      100 * all.shipped.median, 100 * all.shipped.p90, 100 * all.left_out.median, 100 * all.left_out.p90);
  for (const RingFitReport::Line& line : report.ring.lines)
    text += fmt::format("ring lines of {}: median {:.1f} %, p90 {:.1f} % of the sizes they were fitted to\n",
                        line.op, 100 * line.fitted.median, 100 * line.fitted.p90);
  for (const LeftOutGroup& group : report.ring.groups)
    text += fmt::format(
        "{} of {} ranks left out ({} the others), {} sizes: median {:.1f} %, p90 {:.1f} %, worst {:.0f} %, "
        "bias {:+.1f} %\n",
        group.op, group.ranks, group.between ? "between" : "beyond", group.sizes, 100 * group.errors.median,
        100 * group.errors.p90, 100 * group.errors.worst, 100 * group.errors.bias);
  return text;
}

}  // namespace sextant
