#include "reports/whatif_text.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <tuple>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"
#include "sim/planner/noticeable.hpp"

namespace sextant {
namespace {

std::string layout_text(const Candidate& candidate) {
  return fmt::format("{} x {} x {}", candidate.layout.tp, candidate.layout.pp, candidate.layout.dp);
}

std::string optional_number(const std::optional<double>& value) {
  return value ? number_text(*value) : "";
}

/// The layout column stays empty, and so disappears, where every row has the base's layout.
void add_row(Table& table, const std::string& name, const Candidate& candidate, bool layouts) {
  const ServingMetrics& m = candidate.metrics;
  const std::string joules =
      candidate.energy ? number_text(candidate.energy->joules_per_output_token) : std::string();
  table.add({name, layouts ? layout_text(candidate) : std::string(), number_text(m.output_throughput),
             number_text(m.ttft.mean), number_text(m.ttft.p99), number_text(m.tpot.mean),
             number_text(m.tpot.p99), number_text(m.e2el.mean), number_text(m.e2el.p99),
             count_text(candidate.kv_tokens), optional_number(candidate.usd_per_million_output_tokens),
             joules});
}

Table side_by_side(const WhatIf& result) {
  const bool costs = result.scenario.economics.has_value();
  const bool layouts = std::any_of(result.rows.begin(), result.rows.end(), [&](const WhatIfRow& row) {
    const Candidate* shown = row.shown();
    return row.best || (shown != nullptr && layout_text(*shown) != layout_text(result.base));
  });
  Table table({{"variant", Table::Align::left, true},
               {layouts ? "tp x pp\nx dp" : "", Table::Align::left},
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
  add_row(table, "(base)", result.base, layouts);
  for (const WhatIfRow& row : result.rows) {
    if (row.shown() == nullptr)
      table.add({Table::Cell(row.name, Tone::bad), "", Table::Cell("cannot be", Tone::bad)});
    else
      add_row(table, row.name, *row.shown(), layouts);
    if (row.kept && row.best) add_row(table, row.name + ", its best layout", *row.best, layouts);
  }
  return table;
}

/// "output throughput +0.4 % (90 %: -0.1 to +0.9)"
std::string movement_text(const std::string& label, const Movement& movement) {
  if (!(movement.base > 0) || !std::isfinite(movement.variant)) return label + " -";
  const auto percent = [](double ratio) {
    const double rounded = std::round(1000 * (ratio - 1)) / 10;
    return rounded == 0 ? std::string("0.0") : fmt::format("{:+.1f}", rounded);
  };
  std::string text = fmt::format("{} {} %", label, percent(movement.variant / movement.base));
  if (movement.ratio)
    text += fmt::format(" ({} to {})", percent(movement.ratio->low), percent(movement.ratio->high));
  return text;
}

/// A metric by which a change is judged; `better` is +1 where more is better, -1 where less is.
struct Headline {
  const char *metric, *label;
  int better;
};
constexpr Headline headlines[] = {{"output_throughput", "output tokens/s", 1},
                                  {"mean_ttft_ms", "mean TTFT", -1},
                                  {"mean_tpot_ms", "mean TPOT", -1}};

/// How much a metric changes in relation to the base; not a number where it cannot be told.
double change_of(const Movement& movement) {
  const bool known = movement.base > 0 && std::isfinite(movement.variant);
  return known ? movement.variant / movement.base - 1 : std::nan("");
}

/// A change that someone would notice and that is more than the error of the prediction, where that is known.
bool counts(const Movement& movement) {
  return std::abs(change_of(movement)) >= noticeable && (!movement.ratio || movement.beyond_error());
}

/// The first headline metric that changes enough to count; nullptr: none does.
const Headline* told_by(const WhatIfRow& row) {
  for (const Headline& headline : headlines)
    if (counts(row.movements.at(headline.metric))) return &headline;
  return nullptr;
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
  for (const Headline& headline : headlines)
    moves += (moves.empty() ? "" : ", ") + movement_text(headline.label, row.movements.at(headline.metric));
  const std::string worth = whatif_worth(row);
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

/// "the SLO is met by: (base); 400 Gbit/s", where one is asked for.
std::optional<std::string> slo_answer(const WhatIf& result) {
  if (result.scenario.slo.empty()) return std::nullopt;
  std::vector<std::string> met;
  if (result.base.meets_slo) met.emplace_back("the base");
  for (const WhatIfRow& row : result.rows)
    if (row.shown() != nullptr && row.shown()->meets_slo) met.push_back(row.name);
  if (met.empty()) return "the SLO is met by none";
  return fmt::format("the SLO is met by: {}", fmt::join(met, "; "));
}

/// "400 Gbit/s: output tokens/s +3.1 % (+2.0 to +4.2)"
std::string told(const WhatIfRow& row, const Headline& headline) {
  return fmt::format("{}: {}", row.name, movement_text(headline.label, row.movements.at(headline.metric)));
}

}  // namespace

std::string whatif_worth(const WhatIfRow& row) {
  double largest = 0;
  bool known = false, beyond = false;
  if (row.shown() == nullptr) return "cannot be";
  for (const Headline& headline : headlines) {
    const Movement& movement = row.movements.at(headline.metric);
    const double change = std::abs(change_of(movement));
    if (std::isnan(change)) continue;
    largest = std::max(largest, change);
    known = known || movement.ratio.has_value();
    beyond = beyond || (movement.beyond_error() && change >= noticeable);
  }
  if (largest < noticeable) return fmt::format("under {} %: nothing anyone would notice", 100 * noticeable);
  if (!known) return "";
  return beyond ? "more than the error of the prediction" : "within the error of the prediction";
}

/// Whether something else is asked of it, so that its figures are neither a gain nor a loss.
bool another_load(const WhatIfRow& row) {
  return std::any_of(row.changes.begin(), row.changes.end(),
                     [](const std::string& change) { return change.starts_with("workload"); });
}

std::vector<std::string> whatif_answer(const WhatIf& result) {
  const WhatIfRow *best = nullptr, *worst = nullptr;
  double gain = 0, loss = 0;
  std::vector<std::string> cannot, other_loads;
  for (const WhatIfRow& row : result.rows) {
    if (row.shown() == nullptr) {
      cannot.push_back(row.name);
      continue;
    }
    if (another_load(row)) {
      other_loads.push_back(row.name);
      continue;
    }
    const Headline* headline = told_by(row);
    if (headline == nullptr) continue;
    const double improvement = headline->better * std::log1p(change_of(row.movements.at(headline->metric)));
    if (improvement > gain) std::tie(best, gain) = std::pair(&row, improvement);
    if (improvement < loss) std::tie(worst, loss) = std::pair(&row, improvement);
  }
  std::vector<std::string> lines;
  if (best != nullptr)
    lines.push_back("the most is gained by " + told(*best, *told_by(*best)));
  else if (other_loads.size() < result.rows.size())
    lines.emplace_back("no change gains anything that anyone would notice");
  if (worst != nullptr) lines.push_back("the most is lost by " + told(*worst, *told_by(*worst)));
  if (!other_loads.empty())
    lines.push_back(
        fmt::format("another load, so neither a gain nor a loss: {}", fmt::join(other_loads, "; ")));
  if (const auto slo = slo_answer(result)) lines.push_back(*slo);
  if (!cannot.empty()) lines.push_back(fmt::format("cannot be: {}", fmt::join(cannot, "; ")));
  return lines;
}

std::string whatif_text(const WhatIf& result, TextStyle style) {
  std::string text = detail::question_section(result.scenario, style);
  text += wrapped(fmt::format("base: {} on {}", result.base.layout.describe(),
                              layout_gpus(result.scenario.cluster, result.base.layout)),
                  "  ", style.width);
  text += detail::heading("Answer", style);
  for (const std::string& line : whatif_answer(result)) text += wrapped(line, "  ", style.width);
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
