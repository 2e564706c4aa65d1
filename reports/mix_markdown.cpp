#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/markdown.hpp"
#include "reports/markdown_parts.hpp"
#include "reports/names.hpp"
#include "reports/result_fields.hpp"

namespace sextant::detail {
namespace {

using Json = nlohmann::ordered_json;

const Json& list(const Json& json, const char* key) {
  static const Json empty = Json::array();
  const Json& found = member(json, key);
  return found.is_array() ? found : empty;
}

std::string factor_cell(const Json& json) {
  const double factor = number_member(json, "factor");
  return std::isfinite(factor) && factor > 0 ? fmt::format("{:.2f}", factor) : "";
}

std::string slo_cell(const Json& json) {
  return true_member(json, "meets_slo") ? "met" : "missed";
}

std::string models_table(const Json& division) {
  MarkdownTable table({"model", "on", "runs as", "output tok/s", "P99 TTFT ms", "P99 TPOT ms", "SLO",
                       "load can grow x", "GPUs"},
                      "lllrrrlrl");
  for (const Json& model : list(division, "models")) {
    const Json& metrics = member(model, "metrics");
    table.add({cell(model, "name"), cell(model, "kinds"), markdown_text(layout_text(member(model, "layout"))),
               cell(metrics, "output_throughput"), cell(metrics, "p99_ttft_ms"), cell(metrics, "p99_tpot_ms"),
               slo_cell(model), factor_cell(model),
               markdown_text(device_list(texts_member(model, "gpus")), 120)});
  }
  return table.text();
}

std::string others_table(const Json& result) {
  if (list(result, "others").empty()) return "";
  MarkdownTable table({"rank", "division", "SLO", "all loads can grow x", "tightest"}, "rllrl");
  int rank = 1;
  for (const Json& other : list(result, "others")) {
    std::string words;
    for (const Json& model : list(other, "models"))
      words += fmt::format("{}{} on {} ({})", words.empty() ? "" : ", ", text_member(model, "name"),
                           text_member(model, "kinds"), layout_text(member(model, "layout")));
    table.add({std::to_string(++rank), markdown_text(words, 400), slo_cell(other), factor_cell(other),
               cell(other, "tightest")});
  }
  return "\n### Other divisions that were simulated\n\n" + table.text();
}

}  // namespace

std::string mix_markdown(const Json& result) {
  const Json& best = member(result, "best");
  std::string text =
      fmt::format("## Mix: {}\n\n**All loads can grow {} times**{}\n\n",
                  markdown_text(text_member(result, "scenario"), 60), factor_cell(best),
                  true_member(best, "meets_slo") ? ": every SLO is met" : ": not every SLO is met");
  text += models_table(best) + "\n" + bullets(texts_member(result, "question"));
  text += "\n### Why\n\n" + bullets(texts_member(result, "reasons")) + others_table(result);
  for (const Json& plan : list(result, "plans"))
    if (const auto reasons = texts_member(plan, "reasons"); !reasons.empty())
      text += fmt::format("\n### {}\n\n{}", cell(member(plan, "model"), "name"), bullets(reasons));
  return text + code(text_member(result, "command"));
}

}  // namespace sextant::detail
