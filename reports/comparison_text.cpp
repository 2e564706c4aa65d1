#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/comparison.hpp"
#include "reports/csv_text.hpp"
#include "reports/markdown.hpp"
#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/result_fields.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
using namespace detail;

constexpr std::size_t most_rows = 60;

Tone tone_of(const std::string& verdict) {
  if (verdict == "outside") return Tone::bad;
  if (verdict == "differs") return Tone::caution;
  return verdict == "within intervals" ? Tone::good : Tone::plain;
}

/// The rows that differ; of many those outside the intervals first, then the larger change.
std::vector<const Json*> told_rows(const Json& comparison) {
  std::vector<const Json*> rows;
  for (const Json& row : member(comparison, "rows"))
    if (text_member(row, "verdict") != "same") rows.push_back(&row);
  if (rows.size() <= most_rows) return rows;
  const auto weight = [](const Json* row) {
    const double change = std::abs(number_member(*row, "change_percent"));
    return std::pair(text_member(*row, "verdict") == "outside", std::isfinite(change) ? change : 0);
  };
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Json* a, const Json* b) { return weight(a) > weight(b); });
  rows.resize(most_rows);
  return rows;
}

std::string range_text(const Json& row, const char* low, const char* high, const char* between = " .. ") {
  const double from = number_member(row, low), to = number_member(row, high);
  return std::isfinite(from) && std::isfinite(to) ? number_text(from) + between + number_text(to) : "";
}

std::string counts_line(const Json& comparison) {
  const Json& counts = member(comparison, "verdicts");
  return fmt::format(
      "{:g} figures are the same, {:g} differ within the intervals, {:g} outside them, {:g} differ without "
      "an "
      "interval to judge by; {} are in one result only",
      number_member(counts, "same"), number_member(counts, "within intervals"),
      number_member(counts, "outside"), number_member(counts, "differs"),
      member(comparison, "only_in_a").size() + member(comparison, "only_in_b").size());
}

std::string percent(const Json& row) {
  const double change = number_member(row, "change_percent");
  return std::isfinite(change) ? fmt::format("{:+.1f} %", change) : "";
}

/// The rows of one subject.
std::string figures_table(const std::vector<const Json*>& rows, const std::string& of, TextStyle style) {
  Table table({{"", Table::Align::left, true},
               {"A"},
               {"B"},
               {"change"},
               {"A's 90 %"},
               {"B's 90 %"},
               {"", Table::Align::left}});
  for (const Json* row : rows) {
    if (text_member(*row, "of") != of) continue;
    const std::string verdict = text_member(*row, "verdict");
    table.add({text_member(*row, "figure"),
               number_text(number_member(*row, "a")),
               number_text(number_member(*row, "b")),
               percent(*row),
               range_text(*row, "a_low", "a_high", ".."),
               range_text(*row, "b_low", "b_high", ".."),
               {verdict == "within intervals" ? "within" : verdict, tone_of(verdict)}});
  }
  return table.text(style);
}

}  // namespace

std::string change_text(double from, double to) {
  if (!(from > 0) || !std::isfinite(to)) return "";
  return fmt::format("{:+.1f} %", 100 * (to / from - 1));
}

std::string comparison_text(const Json& comparison, TextStyle style) {
  std::string text = wrapped("A: " + text_member(comparison, "a"), "", style.width) +
                     wrapped("B: " + text_member(comparison, "b"), "", style.width);
  if (!member(comparison, "settings").empty()) {
    text += heading("Asked differently", style);
    for (const Json& setting : member(comparison, "settings"))
      text += wrapped(fmt::format("{}: A {}; B {}", text_member(setting, "what"),
                                  cut(text_member(setting, "a"), 200), cut(text_member(setting, "b"), 200)),
                      "  - ", style.width);
  }
  const std::vector<const Json*> rows = told_rows(comparison);
  text += heading("Figures that differ", style);
  if (rows.empty()) text += "  none\n";
  std::vector<std::string> subjects;
  for (const Json* row : rows)
    if (const std::string of = text_member(*row, "of");
        std::find(subjects.begin(), subjects.end(), of) == subjects.end())
      subjects.push_back(of);
  for (const std::string& of : subjects)
    text += "\n" + wrapped(of, "  ", style.width) + figures_table(rows, of, style);
  return text + wrapped(counts_line(comparison), "  ", style.width);
}

std::string comparison_markdown(const Json& comparison) {
  std::string text =
      fmt::format("## Comparison\n\nA: {}  \nB: {}\n\n{}\n", markdown_text(text_member(comparison, "a")),
                  markdown_text(text_member(comparison, "b")), counts_line(comparison));
  if (!member(comparison, "settings").empty()) {
    MarkdownTable settings({"asked differently", "A", "B"}, "lll");
    for (const Json& setting : member(comparison, "settings"))
      settings.add({markdown_text(text_member(setting, "what")),
                    markdown_text(text_member(setting, "a"), 200),
                    markdown_text(text_member(setting, "b"), 200)});
    text += "\n" + settings.text();
  }
  MarkdownTable table({"of", "figure", "A", "B", "change", "A's 90 %", "B's 90 %", "verdict"}, "llrrrrrl");
  for (const Json* row : told_rows(comparison))
    table.add({markdown_text(text_member(*row, "of")),
               markdown_text(metric_label(text_member(*row, "figure"))),
               number_text(number_member(*row, "a")), number_text(number_member(*row, "b")), percent(*row),
               range_text(*row, "a_low", "a_high"), range_text(*row, "b_low", "b_high"),
               text_member(*row, "verdict")});
  return table.empty() ? text : text + "\n" + table.text();
}

std::string comparison_csv(const Json& comparison) {
  std::string text = "of,figure,a,b,change_percent,a_low,a_high,b_low,b_high,verdict\n";
  for (const Json& row : member(comparison, "rows")) {
    text += csv_field(text_member(row, "of")) + "," + csv_field(text_member(row, "figure"));
    for (const char* key : {"a", "b", "change_percent", "a_low", "a_high", "b_low", "b_high"})
      text += "," + csv_number(number_member(row, key));
    text += "," + text_member(row, "verdict") + "\n";
  }
  return text;
}

}  // namespace sextant
