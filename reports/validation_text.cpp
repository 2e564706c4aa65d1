#include "reports/validation_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

constexpr std::size_t most_furthest = 8;

std::string tenths(double share) {
  return fmt::format("{:.1f}", 100 * share);
}

std::string signed_percent(double share) {
  return fmt::format("{:+.1f}", 100 * share);
}

std::string coverage_text(const GroupSummary& group) {
  if (group.with_interval == 0) return "-";
  return percent_text(static_cast<double>(group.covered) / static_cast<double>(group.with_interval)) + " %";
}

/// A part that is all of its kind tells nothing new.
bool says_more(const std::vector<GroupSummary>& groups, std::size_t at) {
  const GroupSummary& group = groups[at];
  if (group.part.empty()) return true;
  const auto parts = std::count_if(groups.begin(), groups.end(), [&](const GroupSummary& other) {
    return !other.part.empty() && other.kind == group.kind && other.gpu == group.gpu;
  });
  return parts > 1;
}

std::string groups_section(const std::vector<GroupSummary>& groups, TextStyle style) {
  Table table({{"kind", Table::Align::left},
               {"GPU", Table::Align::left},
               {"rows"},
               {"not pre-\ndicted"},
               {"median\n%"},
               {"p90\n%"},
               {"worst\n%"},
               {"bias\n%"},
               {"in 90 %\ninterval"}});
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const GroupSummary& group = groups[i];
    if (!says_more(groups, i)) continue;
    const bool whole = group.part.empty();
    std::vector<Table::Cell> cells = {whole ? group.kind : fmt::format("  {}", group.part),
                                      !whole              ? ""
                                      : group.gpu.empty() ? "-"
                                                          : group.gpu,
                                      count_text(group.rows),
                                      group.without > 0 ? count_text(group.without) : ""};
    if (group.values > 0)
      for (const std::string& text : {tenths(group.median), tenths(group.p90), tenths(group.worst),
                                      signed_percent(group.bias), coverage_text(group)})
        cells.emplace_back(text);
    table.add(std::move(cells));
  }
  return table.text(style);
}

std::string not_predicted_section(const std::vector<Comparison>& comparisons, TextStyle style) {
  std::map<std::pair<std::string, std::string>, std::int64_t> reasons;  // (kind, why)
  for (const Comparison& comparison : comparisons)
    if (const auto* none = std::get_if<NotPredicted>(&comparison.outcome))
      ++reasons[{comparison.kind, none->why}];
  if (reasons.empty()) return "";
  std::string text = detail::heading("Not predicted", style);
  for (const auto& [reason, count] : reasons)
    text += wrapped(fmt::format("{} x {}: {}", count_text(count), reason.first, reason.second), "  ",
                    style.width);
  return text;
}

std::string furthest_section(const std::vector<Comparison>& comparisons, TextStyle style) {
  std::vector<const Comparison*> sorted;
  for (const Comparison& comparison : comparisons)
    if (comparison.error()) sorted.push_back(&comparison);
  const std::size_t shown = std::min(most_furthest, sorted.size());
  if (shown == 0) return "";
  std::partial_sort(
      sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(shown), sorted.end(),
      [](const Comparison* a, const Comparison* b) { return std::abs(*a->error()) > std::abs(*b->error()); });
  sorted.resize(shown);
  Table table({{"row", Table::Align::left, true},
               {"what", Table::Align::left, true},
               {"quantity", Table::Align::left},
               {"measured"},
               {"predicted"},
               {"error %"}});
  for (const Comparison* comparison : sorted)
    table.add({fmt::format("{}:{}", comparison->file, comparison->line),
               comparison->kind + " " + comparison->shape, comparison->quantity,
               number_text(comparison->measured), number_text(comparison->prediction()->value),
               fmt::format("{:+.1f}", 100 * *comparison->error())});
  return detail::heading("Furthest off", style) + table.text(style);
}

std::string bounds_section(const Validation& validation, const std::vector<ErrorBound>& bounds,
                           TextStyle style) {
  if (bounds.empty()) return "";
  std::string text = detail::heading("Bounds", style);
  const std::vector<std::string> failures = missed(bounds, validation.groups);
  for (const std::string& failure : failures)
    text += wrapped(paint("missed", Tone::bad, {}) + " " + failure, "  ", style.width);
  if (failures.empty()) text += "  " + paint("all hold", Tone::good, style) + "\n";
  return text;
}

std::string outside_line(const std::vector<GroupSummary>& groups, TextStyle style) {
  std::int64_t outside = 0;
  for (const GroupSummary& group : groups)
    if (group.part.empty()) outside += group.outside;
  if (outside == 0) return "";
  const std::string sentence =
      fmt::format("asked for outside a fitted range: {} predictions", count_text(outside));
  return fmt::format("\n{}", wrapped(sentence, "  ", style.width));
}

}  // namespace

std::string validation_text(const Validation& validation, const std::vector<ErrorBound>& bounds,
                            TextStyle style) {
  std::string text = detail::heading("Errors of predictions, predicted / measured - 1", style);
  for (const std::string& profile : validation.profiles)
    text += wrapped(fmt::format("profile in place of the shipped one: {}", profile), "  ", style.width);
  text +=
      fmt::format("\n{}{}", groups_section(validation.groups, style), outside_line(validation.groups, style));
  text += not_predicted_section(validation.comparisons, style);
  text += furthest_section(validation.comparisons, style);
  return text + bounds_section(validation, bounds, style);
}

}  // namespace sextant
