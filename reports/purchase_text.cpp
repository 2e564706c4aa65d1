#include "reports/purchase_text.hpp"

#include <fmt/core.h>

#include <cmath>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

using detail::heading;

std::string whole(double value) {
  return count_text(std::llround(value));
}

std::string slo_text(const std::vector<ServiceLevel>& slo) {
  std::string text;
  for (const ServiceLevel& level : slo)
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", metric_label(level.metric),
                        level.at_most ? "<=" : ">=", number_text(level.bound));
  return text.empty() ? "none given" : text;
}

std::string bounds_text(const PurchaseBounds& bounds) {
  std::string text = whole(bounds.usd) + " USD";
  if (bounds.watts) text += fmt::format(", {} W at the wall", whole(*bounds.watts));
  if (bounds.rack_units) text += fmt::format(", {} rack units", number_text(*bounds.rack_units));
  if (bounds.kv_tokens > 0) text += fmt::format(", {} tokens of KV cache at least", whole(bounds.kv_tokens));
  return text;
}

std::string question_section(const PurchaseQuestion& question, const PurchasePlan& plan, TextStyle style) {
  constexpr std::size_t longest_name = 60, longest_description = 1000;
  std::string text = paint(printable(question.name, longest_name), Tone::strong, style) + "\n";
  if (!question.description.empty())
    text += wrapped(printable(question.description, longest_description), "  ", style.width);
  for (const std::string& line : purchase_question_lines(question, plan))
    text += wrapped(line, "  ", style.width);
  return text;
}

std::string bill_section(const PurchaseQuestion& question, const PlannedPurchase& best, TextStyle style) {
  Table table({{"part", Table::Align::left, true},
               {"count"},
               {"USD each"},
               {"USD"},
               {"price from", Table::Align::left, true}});
  for (const BillLine& line : bill_of(question, best.purchase))
    table.add({line.part, count_text(line.count), whole(line.usd_each), whole(line.count * line.usd_each),
               line.price_source});
  table.add({"together", "", "", {whole(best.totals.usd), Tone::strong}, ""});
  return heading("Buy", style) + wrapped(describe(question, best.purchase), "  ", style.width) + "\n" +
         table.text(style);
}

std::string layout_text(const Layout& layout) {
  return fmt::format("tp {} x pp {} x dp {}", layout.tp, layout.pp, layout.dp);
}

std::string models_section(const PlannedPurchase& planned, TextStyle style) {
  Table table({{"model", Table::Align::left, true},
               {"runs as", Table::Align::left},
               {"output\ntok/s"},
               {"P99\nTTFT ms"},
               {"P99\nTPOT ms"},
               {"SLO", Table::Align::left},
               {"KV\ntokens"},
               {"GPUs\nW"},
               {"USD/10^6\noutput"}});
  for (const ModelAnswer& answer : planned.models) {
    const Candidate& best = answer.best();
    const bool sound = best.startable && best.metrics.rejected == 0;
    table.add(
        {answer.model,
         layout_text(best.layout),
         number_text(best.metrics.output_throughput),
         number_text(best.metrics.ttft.p99),
         number_text(best.metrics.tpot.p99),
         {answer.scenario.slo.empty() ? "none"
          : best.meets_slo && sound   ? "met"
                                      : "missed",
          best.meets_slo && sound ? Tone::good : Tone::bad},
         count_text(best.kv_tokens * best.layout.dp),
         whole(answer.gpu_watts),
         answer.usd_per_million_output_tokens ? number_text(*answer.usd_per_million_output_tokens) : "-"});
  }
  return heading("What it gives", style) + table.text(style);
}

/// The 90 % intervals of what a buyer asks for first.
std::string interval_lines(const PlannedPurchase& planned, TextStyle style) {
  std::string text;
  for (const ModelAnswer& answer : planned.models) {
    std::string line;
    for (const char* metric : {"output_throughput", "p99_ttft_ms", "p99_tpot_ms"})
      if (const auto found = answer.best().intervals.find(metric); found != answer.best().intervals.end())
        line += fmt::format("{}{} {} .. {}", line.empty() ? "" : ", ", metric_label(metric),
                            number_text(found->second.low), number_text(found->second.high));
    if (!line.empty())
      text += wrapped(fmt::format("90 % intervals of {}: {}", answer.model, line), "  ", style.width);
  }
  return text;
}

std::string cost_section(const PurchaseQuestion& question, const PlannedPurchase& best, TextStyle style) {
  std::string text = heading("What it costs", style);
  text += wrapped(
      fmt::format("power: {} W at the wall with everything at its limit{}; {} rack units",
                  whole(best.totals.peak_watts),
                  best.cost ? fmt::format(", {} W while serving, {} W on average over the years",
                                          whole(best.cost->serving_watts), whole(best.cost->mean_watts))
                            : "",
                  number_text(best.totals.rack_units)),
      "  ", style.width);
  if (!best.cost)
    return text + wrapped("total cost: not known without 'economics' (years, electricity, utilisation)", "  ",
                          style.width);
  const PurchaseEconomics& economics = *question.economics;
  text += wrapped(
      fmt::format(
          "total over {} years at {} % utilisation: {} USD, of them {} for electricity at {} USD/kWh; "
          "{} USD per million output tokens{}",
          number_text(economics.years), percent_text(economics.utilisation), whole(best.cost->tco_usd),
          whole(best.cost->electricity_usd), number_text(economics.electricity_usd_per_kwh),
          number_text(best.cost->usd_per_million_output_tokens),
          question.models.size() > 1 ? " over the models by their shares" : ""),
      "  ", style.width);
  return text + wrapped(
                    "hosts, NICs and switch draw their watts all the time, cards what their layout is "
                    "predicted to draw; rent, staff and repairs are not in it",
                    "  ", style.width);
}

/// "8,565 -> 9,310 (+8.7 %)"
std::string flip_line(const Flip& flip) {
  return fmt::format("{}: {} -> {} ({:+.0f} %){}", flip.input, number_text(flip.base), number_text(*flip.at),
                     100 * (*flip.at / flip.base - 1), flip.simulated ? ", simulated" : "");
}

std::string flips_text(const PurchaseAlternative& alternative, TextStyle style) {
  std::string text, still;
  for (const Flip& flip : alternative.flips) {
    if (flip.at)
      text += wrapped(flip_line(flip), "      - ", style.width);
    else
      still += (still.empty() ? "" : "; ") + flip.input.substr(0, flip.input.find(" ("));
  }
  if (!text.empty()) text = "    would be the better buy with\n" + text;
  if (!still.empty())
    text += wrapped((text.empty() ? "no input alone makes it the better buy: " : "not by: ") + still +
                        " (how far each was moved: --json)",
                    "    ", style.width);
  return text;
}

/// How sure it is, model by model, that the best beats the alternative, and what would settle it.
std::string sureness_text(const PurchaseAlternative& alternative, TextStyle style) {
  std::string text;
  for (std::size_t m = 0; m < alternative.comparisons.size(); ++m) {
    LayoutComparison comparison = alternative.comparisons[m];
    comparison.a = "the best";
    text += wrapped(fmt::format("{}: {}", alternative.planned.models[m].model,
                                detail::comparison_text(comparison, "this")),
                    "    ", style.width);
    if (!comparison.settled_by.empty())
      text += wrapped("what would settle it: " + comparison.settled_by, "      - ", style.width);
  }
  return text;
}

std::string missed_text(const PlannedPurchase& planned, TextStyle style) {
  std::string text;
  for (const ModelAnswer& answer : planned.models)
    for (const std::string& missed : answer.best().missed)
      text += wrapped(fmt::format("{}: {}", answer.model, missed), "    ", style.width);
  return text;
}

std::string alternatives_section(const PurchaseQuestion& question, const PurchasePlan& plan,
                                 TextStyle style) {
  std::string text = heading("Alternatives that differ in kind", style);
  if (plan.alternatives.empty())
    return text + wrapped("none within the bounds was simulated", "  ", style.width);
  Table table({{""},
               {"differs in", Table::Align::left, true},
               {"USD"},
               {"W at\nthe wall"},
               {"output\ntok/s"},
               {"SLO", Table::Align::left},
               {"TCO\nUSD"},
               {"USD/10^6\noutput"}});
  const auto add = [&](const std::string& rank, const std::string& differs, const PlannedPurchase& p) {
    table.add({rank,
               differs,
               whole(p.totals.usd),
               whole(p.totals.peak_watts),
               number_text(p.output_throughput),
               {p.meets_slo ? "met" : "missed", p.meets_slo ? Tone::good : Tone::bad},
               p.cost ? whole(p.cost->tco_usd) : "-",
               p.cost ? number_text(p.cost->usd_per_million_output_tokens) : "-"});
  };
  add("", "(the best)", plan.best);
  std::string details;
  int rank = 0;
  for (const PurchaseAlternative& alternative : plan.alternatives) {
    std::string differs;
    for (const std::string& what : alternative.differs) differs += (differs.empty() ? "" : ", ") + what;
    add(std::to_string(++rank), differs, alternative.planned);
    details += "\n" + wrapped(describe(question, alternative.planned.purchase), fmt::format("  {} ", rank),
                              style.width);
    if (!alternative.planned.meets_slo)
      details += "    misses the SLO as asked\n" + missed_text(alternative.planned, style);
    details += sureness_text(alternative, style) + flips_text(alternative, style);
  }
  return text + table.text(style) + details;
}

std::string left_out_section(const PurchasePlan& plan, TextStyle style) {
  std::string text = heading("Purchases left out", style);
  for (const auto& [reason, count] : plan.left_out)
    text += wrapped(fmt::format("{}: {}", reason, count_text(count)), "  - ", style.width);
  return text +
         wrapped("where nodes or cards already cost, draw or fill too much, all larger ones count as one",
                 "  ", style.width);
}

std::string trust_lines(const PlannedPurchase& best, TextStyle style) {
  std::string text;
  for (const ModelAnswer& answer : best.models)
    text += wrapped(
        fmt::format("trust: {}'s weakest figure is {}{}", answer.model, to_string(answer.best().grade),
                    answer.best().extrapolated ? ", and some passes lie outside what was fitted" : ""),
        "  ", style.width);
  return text;
}

}  // namespace

std::vector<std::string> purchase_question_lines(const PurchaseQuestion& question, const PurchasePlan& plan) {
  const bool several = question.models.size() > 1;
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < plan.best.models.size(); ++i) {
    const ServedModel& model = plan.best.models[i].scenario.model;
    lines.push_back(fmt::format("model: {}, weights {}, KV cache {}", model.architecture.name,
                                model.weights.name, model.kv.name));
    if (several)
      lines.back() += fmt::format(", {} % of the serving time", percent_text(question.models[i].share));
  }
  if (several) lines.emplace_back("the models are served one at a time, each alone on all of the hardware");
  const Scenario& first = plan.best.models.front().scenario;
  lines.push_back("budget: " + bounds_text(question.bounds));
  lines.push_back(detail::workload_line(first.workload));
  lines.push_back("SLO: " + slo_text(first.slo));
  return lines;
}

std::string purchase_text(const PurchaseQuestion& question, const PurchasePlan& plan, TextStyle style) {
  std::string text = question_section(question, plan, style);
  if (plan.interrupted)
    text += wrapped(
        fmt::format("interrupted: the best of the {} purchases simulated until then", plan.planned.size()),
        "  ", style.width);
  text += bill_section(question, plan.best, style);
  text += models_section(plan.best, style) + interval_lines(plan.best, style) + trust_lines(plan.best, style);
  text += cost_section(question, plan.best, style);
  text += alternatives_section(question, plan, style);
  text += left_out_section(plan, style);
  text += heading("To reproduce", style);
  return text +
         wrapped(
             fmt::format(
                 "seed {}, preference {}, {} purchases possible, {} estimated, {} simulated with {} model{}",
                 plan.best.models.front().scenario.workload.seed, to_string(question.prefer),
                 count_text(plan.possible), count_text(plan.estimated), plan.planned.size(),
                 question.models.size(), question.models.size() == 1 ? "" : "s"),
             "  ", style.width);
}

}  // namespace sextant
