#include "reports/whatif_text.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

std::string layout_text(const Candidate& candidate) {
  return fmt::format("{} x {} x {}", candidate.layout.tp, candidate.layout.pp, candidate.layout.dp);
}

std::string optional_number(const std::optional<double>& value) {
  return value ? number_text(*value) : "";
}

void add_row(Table& table, const std::string& name, const Candidate& candidate) {
  const ServingMetrics& m = candidate.metrics;
  const std::string joules =
      candidate.energy ? number_text(candidate.energy->joules_per_output_token) : std::string();
  table.add({name, layout_text(candidate), number_text(m.output_throughput), number_text(m.ttft.mean),
             number_text(m.ttft.p99), number_text(m.tpot.mean), number_text(m.tpot.p99),
             number_text(m.e2el.mean), number_text(m.e2el.p99), count_text(candidate.kv_tokens),
             optional_number(candidate.usd_per_million_output_tokens), joules});
}

Table side_by_side(const WhatIf& result) {
  const bool costs = result.scenario.economics.has_value();
  Table table({{"variant", Table::Align::left, true},
               {"tp x pp\nx dp", Table::Align::left},
               {"output\ntok/s"},
               {"mean\nTTFT ms"},
               {"P99\nTTFT ms"},
               {"mean\nTPOT ms"},
               {"P99\nTPOT ms"},
               {"mean\nE2EL ms"},
               {"P99\nE2EL ms"},
               {"KV\ntokens"},
               {costs ? "USD per\nM tokens" : ""},
               {"J per\ntoken"}});
  add_row(table, "(base)", result.base);
  for (const WhatIfRow& row : result.rows) {
    if (row.shown() == nullptr)
      table.add({row.name, Table::Cell("cannot be", Tone::bad)});
    else
      add_row(table, row.name, *row.shown());
    if (row.kept && row.best) add_row(table, row.name + ", its best layout", *row.best);
  }
  return table;
}

/// "output throughput +0.4 % (90 %: -0.1 to +0.9)"
std::string movement_text(const std::string& label, const Movement& movement) {
  if (!(movement.base > 0) || !std::isfinite(movement.variant)) return label + " -";
  const auto percent = [](double ratio) { return 100 * (ratio - 1); };
  std::string text = fmt::format("{} {:+.1f} %", label, percent(movement.variant / movement.base));
  if (movement.ratio)
    text += fmt::format(" ({:+.1f} to {:+.1f})", percent(movement.ratio->low), percent(movement.ratio->high));
  return text;
}

constexpr std::pair<const char*, const char*> headlines[] = {
    {"output_throughput", "output tokens/s"}, {"mean_ttft_ms", "mean TTFT"}, {"mean_tpot_ms", "mean TPOT"}};

/// Whether anyone would notice, and whether the prediction is good enough to say so.
std::string worth_text(const WhatIfRow& row) {
  constexpr double nobody_notices = 0.005;
  double largest = 0;
  bool known = false, beyond = false;
  for (const auto& [metric, label] : headlines) {
    const Movement& movement = row.movements.at(metric);
    if (!(movement.base > 0) || !std::isfinite(movement.variant)) continue;
    const double change = std::abs(movement.variant / movement.base - 1);
    largest = std::max(largest, change);
    known = known || movement.ratio.has_value();
    beyond = beyond || (movement.beyond_error() && change >= nobody_notices);
  }
  if (largest < nobody_notices) return "under 0.5 %: nothing anyone would notice";
  if (!known) return "";
  return beyond ? "more than the error of the prediction" : "within the error of the prediction";
}

std::string verdict(const WhatIfRow& row, TextStyle style) {
  std::string text = wrapped(fmt::format("{} ({})", printable(row.name),
                                         printable(fmt::format("{}", fmt::join(row.changes, ", ")), 300)),
                             "  ", style.width);
  const auto bullet = [&](const std::string& line) { text += wrapped(line, "    - ", style.width); };
  if (!row.infeasible.empty()) {
    bullet("cannot be: " + row.infeasible);
    return text;
  }
  std::string moves;
  for (const auto& [metric, label] : headlines)
    moves += (moves.empty() ? "" : ", ") + movement_text(label, row.movements.at(metric));
  const std::string worth = worth_text(row);
  bullet(worth.empty() ? moves : moves + ": " + worth);
  if (!row.not_kept.empty())
    bullet(fmt::format("the base's layout cannot stay: {}; shown is the best that can be, {} on {}",
                       row.not_kept, row.shown()->layout.describe(),
                       layout_gpus(row.scenario.cluster, row.shown()->layout)));
  for (const std::string& why : row.why) bullet(why);
  if (row.kept && row.best)
    bullet(fmt::format("with these changes {} on {} would be better: {} output tokens/s",
                       row.best->layout.describe(), layout_gpus(row.scenario.cluster, row.best->layout),
                       number_text(row.best->metrics.output_throughput)));
  return text;
}

}  // namespace

std::string whatif_text(const WhatIf& result, TextStyle style) {
  std::string text = detail::question_section(result.scenario, style);
  text += wrapped(fmt::format("base: {} on {}", result.base.layout.describe(),
                              layout_gpus(result.scenario.cluster, result.base.layout)),
                  "  ", style.width);
  text += detail::heading("Side by side", style) + side_by_side(result).text(style);
  text += detail::heading("What moves, and why", style);
  for (const WhatIfRow& row : result.rows) text += verdict(row, style);
  const bool intervals = std::any_of(result.rows.begin(), result.rows.end(), [](const WhatIfRow& row) {
    return std::any_of(row.movements.begin(), row.movements.end(),
                       [](const auto& movement) { return movement.second.ratio.has_value(); });
  });
  if (!intervals) return text;
  return text +
         wrapped(
             "intervals of 90 % hold what the model may be wrong about, with the same requests and the same "
             "errors on both sides",
             "  ", style.width);
}

}  // namespace sextant
