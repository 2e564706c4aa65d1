#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/comparison.hpp"
#include "reports/markdown.hpp"
#include "reports/markdown_parts.hpp"
#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/result_fields.hpp"

namespace sextant::detail {
namespace {

using Json = nlohmann::ordered_json;

const Json& shown(const Json& variant) {
  const Json& kept = member(variant, "kept");
  return kept.is_object() ? kept : member(variant, "best");
}

const Json& list(const Json& result, const char* key) {
  static const Json empty = Json::array();
  const Json& found = member(result, key);
  return found.is_array() ? found : empty;
}

/// "136 (128 to 143)"
std::string with_interval(const Json& run, const char* metric) {
  const Json& interval = member(member(run, "intervals"), metric);
  const std::string value = number_text(number_member(member(run, "metrics"), metric));
  const double low = number_member(interval, "low"), high = number_member(interval, "high");
  if (!std::isfinite(low) || !std::isfinite(high)) return value;
  return fmt::format("{} ({} to {})", value, number_text(low), number_text(high));
}

std::string change_cell(const Json& variant, const char* metric) {
  const Json& movement = member(member(variant, "movements"), metric);
  const double base = number_member(movement, "base"), value = number_member(movement, "variant");
  return base > 0 && std::isfinite(value) ? fmt::format("{:+.1f} %", 100 * (value / base - 1)) : "";
}

void add_row(MarkdownTable& table, const std::string& name, const Json& run, const std::string& change) {
  const Json& metrics = member(run, "metrics");
  table.add({name, markdown_text(text_member(run, "layout")), with_interval(run, "output_throughput"), change,
             cell(metrics, "mean_ttft_ms"), cell(metrics, "p99_ttft_ms"), cell(metrics, "mean_tpot_ms"),
             cell(metrics, "p99_tpot_ms"), cell(run, "kv_tokens"), cell(run, "grade")});
}

std::string side_by_side(const Json& result) {
  MarkdownTable table({"variant", "layout", "output tok/s (90 %)", "change", "mean TTFT ms", "P99 TTFT ms",
                       "mean TPOT ms", "P99 TPOT ms", "KV tokens", "grade"},
                      "llrrrrrrrl");
  add_row(table, "(base)", member(result, "base"), "");
  const Json& variants = list(result, "variants");
  for (std::size_t i = 0; i < std::min(variants.size(), most_lines); ++i) {
    const Json& variant = variants[i];
    const std::string name = markdown_text(text_member(variant, "name"), 60);
    if (shown(variant).is_object())
      add_row(table, name, shown(variant), change_cell(variant, "output_throughput"));
    else
      table.add({name, "cannot be"});
  }
  return table.text();
}

std::string reasons(const Json& result) {
  std::string text = "\n### What moves, and why\n";
  const Json& variants = list(result, "variants");
  for (std::size_t i = 0; i < std::min(variants.size(), most_lines); ++i) {
    const Json& variant = variants[i];
    std::vector<std::string> lines;
    if (const std::string why_not = text_member(variant, "infeasible"); !why_not.empty())
      lines.push_back(fmt::format("cannot be: {}", why_not));
    else if (const std::string worth = text_member(variant, "worth"); !worth.empty())
      lines.push_back(worth);
    if (const std::string why_not = text_member(variant, "not_kept"); !why_not.empty())
      lines.push_back(fmt::format("the base's layout cannot stay: {}", why_not));
    for (const std::string& why : texts_member(variant, "why")) lines.push_back(why);
    std::string changes;
    for (const std::string& change : texts_member(variant, "changes"))
      changes += (changes.empty() ? "" : ", ") + change;
    text += fmt::format("\n**{}** ({})\n\n{}", markdown_text(text_member(variant, "name"), 60),
                        markdown_text(changes, 300), bullets(lines));
  }
  return variants.size() > most_lines
             ? text + fmt::format("\nand {} more variants\n", variants.size() - most_lines)
             : text;
}

/// One row for each variant and stage whose pass or hop can be told beside the base's.
std::string stages(const Json& result) {
  MarkdownTable table({"variant", "stage", "GPUs", "decode pass ms", "chunk pass ms", "decode hop ms",
                       "chunk hop ms", "busy"},
                      "lrlrrrrr");
  std::size_t rows = 0;
  const auto add = [&](const std::string& name, const Json& run) {
    const Json& of_run = list(run, "stages");
    for (std::size_t s = 0; s < of_run.size() && rows < 3 * most_lines; ++s, ++rows)
      table.add({name, std::to_string(s), markdown_text(device_list(texts_member(of_run[s], "gpus")), 60),
                 cell(of_run[s], "decode_pass_ms"), cell(of_run[s], "chunk_pass_ms"),
                 cell(of_run[s], "decode_hop_ms"), cell(of_run[s], "chunk_hop_ms"),
                 percent_cell(of_run[s], "busy")});
  };
  add("(base)", member(result, "base"));
  for (const Json& variant : list(result, "variants"))
    if (shown(variant).is_object()) add(markdown_text(text_member(variant, "name"), 60), shown(variant));
  return table.empty() ? "" : fmt::format("\n### Stage by stage\n\n{}", table.text());
}

}  // namespace

std::string whatif_markdown(const Json& result) {
  std::string text = fmt::format("## What if: {}\n\n", markdown_text(text_member(result, "scenario"), 60));
  for (const std::string& line : texts_member(result, "answer"))
    text += fmt::format("**{}**\n\n", markdown_text(line, 300));
  text += side_by_side(result);
  text += fmt::format("\n{}", bullets(texts_member(result, "question")));
  text += reasons(result) + stages(result);
  text += code(text_member(result, "command"));
  return text + fmt::format("\nseed {:g}, fingerprint of the base {}\n", number_member(result, "seed"),
                            markdown_text(text_member(member(result, "base"), "fingerprint")));
}

}  // namespace sextant::detail
