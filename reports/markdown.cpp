#include "reports/markdown.hpp"

#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/comparison.hpp"
#include "reports/markdown_parts.hpp"
#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/result_fields.hpp"
#include "reports/terminal.hpp"
#include "sim/planner/noticeable.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
using namespace detail;

/// "yes", "no", and "not certain" where the interval reaches across the bound.
std::string bound_verdict(const Json& level, double value, const Json& interval) {
  const bool at_most = true_member(level, "at_most");
  const double bound = number_member(level, "bound");
  const auto meets = [&](double of) { return at_most ? of <= bound : of >= bound; };
  const double low = number_member(interval, "low"), high = number_member(interval, "high");
  const bool met = meets(value);
  const bool certain = !std::isfinite(low) || (meets(low) == met && meets(high) == met);
  return fmt::format("{}{}", met ? "yes" : "no", certain ? "" : ", not certain");
}

std::string metrics_table(const Json& result, const Json& run) {
  const Json &metrics = member(run, "metrics"), &intervals = member(run, "intervals");
  const Json& slo = member(result, "slo");
  const Json &spread = member(result, "spread"), &runs = member(result, "replications");
  const bool repeated = runs.is_array() && runs.size() > 1;
  MarkdownTable table(
      {"", "predicted", repeated ? "mean over runs (95 %)" : "model error (90 %)", "bound", "met"}, "lrrrl");
  for (const std::string& name : headline_metric_names(result)) {
    const double value = number_member(metrics, name);
    const Json& interval = member(intervals, name);
    std::string range;
    if (repeated)
      range = fmt::format("{} -+ {}", number_text(number_member(member(spread, name), "mean")),
                          number_text(number_member(member(spread, name), "margin_95")));
    else if (interval.is_object())
      range =
          number_text(number_member(interval, "low")) + " .. " + number_text(number_member(interval, "high"));
    std::string bound, met;
    if (slo.is_array())
      for (const Json& level : slo)
        if (text_member(level, "metric") == name) {
          bound += fmt::format(
              "{}{} {}", bound.empty() ? "" : "; ",
              true_member(level, "at_most") ? "&lt;=" : "&gt;=", number_text(number_member(level, "bound")));
          met += (met.empty() ? "" : "; ") + bound_verdict(level, value, interval);
        }
    table.add({markdown_text(metric_label(name)), number_text(value), range, bound, met});
  }
  return table.text();
}

std::string stages_table(const Json& run) {
  const Json& stages = member(run, "stages");
  if (!stages.is_array() || stages.empty()) return "";
  MarkdownTable table({"stage", "layers", "GPUs", "weights GB", "KV GB", "decode ms", "chunk ms", "compute",
                       "comm.", "bubble"},
                      "rrlrrrrrrr");
  for (std::size_t s = 0; s < std::min(stages.size(), most_lines); ++s) {
    const Json& stage = stages[s];
    const Json &budget = member(member(stage, "memory"), "budget_bytes"), &layers = member(stage, "layers");
    const Json& shares = member(stage, "shares");
    table.add({std::to_string(s),
               fmt::format("{:g}-{:g}", number_member(layers, "begin"), number_member(layers, "end") - 1),
               markdown_text(device_list(texts_member(stage, "gpus")), 60),
               gigabytes_text(number_member(budget, "weights")),
               gigabytes_text(number_member(budget, "for_kv")), cell(stage, "decode_pass_ms"),
               cell(stage, "chunk_pass_ms"), percent_cell(shares, "compute"),
               percent_cell(shares, "communication"), percent_cell(shares, "bubble")});
  }
  std::string text = "\n### Stages\n\n" + table.text();
  return stages.size() > most_lines ? text + fmt::format("\nand {} more\n", stages.size() - most_lines)
                                    : text;
}

std::string candidates_table(const Json& result) {
  const Json& candidates = member(result, "candidates");
  if (!candidates.is_array() || candidates.size() < 2) return "";
  MarkdownTable table({"rank", "layout", "output tok/s", "mean TTFT ms", "mean TPOT ms", "SLO"}, "rlrrrl");
  std::size_t lines = 0, repeated = 0;
  for (std::size_t i = 1; i < candidates.size(); ++i) {
    if (member(candidates[i], "same_as").is_number()) {
      ++repeated;
      continue;
    }
    if (++lines >= most_lines) continue;
    const Json& metrics = member(candidates[i], "metrics");
    table.add({std::to_string(i + 1), markdown_text(layout_text(member(candidates[i], "layout"))),
               cell(metrics, "output_throughput"), cell(metrics, "mean_ttft_ms"),
               cell(metrics, "mean_tpot_ms"),
               member(result, "slo").empty()             ? ""
               : true_member(candidates[i], "meets_slo") ? "met"
                                                         : "missed"});
  }
  std::string text = "\n### Other candidates\n\n";
  if (!table.empty()) text += table.text();
  if (repeated > 0)
    text += fmt::format(
        "\n{} simulated beside these: one of them, or the answer, on other GPUs, with throughput and "
        "latencies within {} %\n",
        repeated, 100 * noticeable);
  return text;
}

std::string variants_table(const Json& result) {
  const Json& variants = member(result, "variants");
  if (!variants.is_array() || variants.empty()) return "";
  const double base = number_member(member(headline_run(result), "metrics"), "output_throughput");
  MarkdownTable table({"variant", "layout", "output tok/s", "change", "verdict"}, "llrrl");
  for (std::size_t i = 0; i < std::min(variants.size(), most_lines); ++i) {
    const Json& variant = variants[i];
    const Json& run = headline_run(member(variant, "plan"));
    const double value = number_member(member(run, "metrics"), "output_throughput");
    table.add({cell(variant, "name"),
               run.is_null() ? "none fits" : markdown_text(layout_text(member(run, "layout"))),
               number_text(value), change_text(base, value),
               markdown_text(text_member(variant, "verdict"), 300)});
  }
  return "\n### Variants\n\n" + table.text();
}

std::string rejections_list(const Json& result) {
  const Json& rejections = member(result, "rejections");
  if (!rejections.is_array() || rejections.empty()) return "";
  std::vector<std::string> lines;
  for (const Json& rejection : rejections)
    lines.push_back(text_member(rejection, "layout") + ": " + text_member(rejection, "reason"));
  return "\n### Layouts that cannot be\n\n" + bullets(lines);
}

std::string served_markdown(const Json& result) {
  const Json& run = headline_run(result);
  const bool plan = text_member(result, "format") == "sextant plan";
  std::string text = fmt::format("## {}: {}\n\n", plan ? "Plan" : "Simulation",
                                 markdown_text(text_member(result, "scenario"), 60));
  if (run.is_null()) return text + "No layout was simulated.\n" + rejections_list(result);
  text += fmt::format("**Run {}**", markdown_text(layout_text(headline_layout(result))));
  if (!member(result, "slo").empty())
    text += true_member(run, "meets_slo") ? ": the SLO is met" : ": the SLO is not met";
  text += fmt::format(" (weakest figure used: {}{})\n\n", text_member(run, "grade"),
                      true_member(run, "extrapolated") ? ", some passes outside the fitted range" : "");
  text += metrics_table(result, run);
  if (!texts_member(run, "missed").empty()) text += "\n" + bullets(texts_member(run, "missed"));
  if (const double usd = number_member(run, "usd_per_million_output_tokens"); std::isfinite(usd))
    text += fmt::format("\nCost: {} USD per million output tokens\n", number_text(usd));
  text += "\n" + bullets(texts_member(result, "question"));
  text += stages_table(run);
  if (!texts_member(result, "reasons").empty())
    text += "\n### Why\n\n" + bullets(texts_member(result, "reasons"));
  text += candidates_table(result) + variants_table(result) + rejections_list(result);
  text += code(text_member(result, "command"));
  return text + fmt::format("\nseed {:g}, fingerprint {}\n", number_member(result, "seed"),
                            markdown_text(text_member(member(run, "metrics"), "fingerprint")));
}

std::string validation_markdown(const Json& result) {
  MarkdownTable table(
      {"kind", "GPU", "part", "rows", "median %", "p90 %", "worst %", "bias %", "in 90 % interval"},
      "lllrrrrrr");
  const Json& groups = member(result, "groups");
  for (const Json& group : groups.is_array() ? groups : Json::array()) {
    const double within = number_member(group, "within_interval"), of = number_member(group, "with_interval");
    table.add({cell(group, "kind"), cell(group, "gpu"), cell(group, "part"), cell(group, "rows"),
               cell(group, "median_error_percent"), cell(group, "p90_error_percent"),
               cell(group, "worst_error_percent"), cell(group, "bias_percent"),
               of > 0 ? fmt::format("{:.0f} of {:.0f}", within, of) : ""});
  }
  std::string text = "## Validation\n\nerror = predicted / measured - 1\n\n" + table.text();
  if (const auto missed = texts_member(member(result, "bounds"), "missed"); !missed.empty())
    text += "\nBounds that do not hold:\n\n" + bullets(missed);
  return text + code(text_member(result, "command"));
}

std::string sweep_markdown(const Json& result) {
  std::vector<std::string> header = {"point"};
  const Json &axes = member(result, "axes"), &rows = member(result, "rows");
  for (const Json& axis : axes.is_array() ? axes : Json::array())
    header.push_back(markdown_text(text_member(axis, "path")));
  for (const char* name : {"layout", "output tok/s", "mean TTFT ms", "mean TPOT ms", "SLO"})
    header.emplace_back(name);
  MarkdownTable table(header, std::string(header.size() - 5, 'r') + "lrrrl");
  constexpr std::size_t most_rows = 100;
  std::size_t shown = 0;
  for (const Json& row : rows.is_array() ? rows : Json::array()) {
    if (++shown > most_rows) break;
    std::vector<std::string> cells = {fmt::format("{:g}", number_member(row, "point"))};
    const Json& values = member(row, "values");
    for (std::size_t a = 0; a + 6 < header.size(); ++a)
      cells.push_back(values.is_array() && a < values.size()
                          ? markdown_text(values[a].dump(-1, ' ', false, Json::error_handler_t::replace), 40)
                          : "");
    const bool planned = text_member(row, "status") == "ok";
    cells.push_back(planned ? layout_text(row) : markdown_text(text_member(row, "reason"), 80));
    for (const char* name : {"output_throughput", "mean_ttft_ms", "mean_tpot_ms"})
      cells.push_back(cell(row, name));
    cells.push_back(planned ? true_member(row, "meets_slo") ? "met" : "missed" : "");
    table.add(cells);
  }
  std::string text =
      fmt::format("## Sweep: {}\n\n{}", markdown_text(text_member(result, "scenario"), 60), table.text());
  if (rows.size() > most_rows)
    text += fmt::format("\nand {} more points (--csv has all)\n", rows.size() - most_rows);
  return text + code(text_member(result, "command"));
}

}  // namespace

std::string result_markdown(const Json& result) {
  const std::string format = text_member(result, "format");
  if (format == "sextant validation") return validation_markdown(result);
  if (format == "sextant sweep") return sweep_markdown(result);
  if (format == "sextant comparison") return comparison_markdown(result);
  if (format == "sextant whatif") return whatif_markdown(result);
  if (format == "sextant purchase") return purchase_markdown(result);
  if (format == "sextant mix") return mix_markdown(result);
  return served_markdown(result);
}

}  // namespace sextant
