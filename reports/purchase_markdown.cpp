#include <fmt/core.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/markdown.hpp"
#include "reports/markdown_parts.hpp"
#include "reports/number_text.hpp"
#include "reports/result_fields.hpp"

namespace sextant::detail {
namespace {

using Json = nlohmann::ordered_json;

/// Bytes of a purchase's description that are shown.
constexpr std::size_t longest_description = 200;

const Json& list(const Json& json, const char* key) {
  static const Json empty = Json::array();
  const Json& found = member(json, key);
  return found.is_array() ? found : empty;
}

std::string whole(double value) {
  return std::isfinite(value) ? count_text(std::llround(value)) : "";
}

std::string whole_cell(const Json& json, const char* key) {
  return whole(number_member(json, key));
}

std::string slo_cell(const Json& result, const Json& of) {
  if (list(result, "slo").empty()) return "";
  return true_member(of, "meets_slo") ? "met" : "missed";
}

std::string bill(const Json& purchase) {
  MarkdownTable table({"part", "count", "USD each", "USD", "price from"}, "lrrrl");
  for (const Json& line : list(purchase, "bill")) {
    const double count = number_member(line, "count"), each = number_member(line, "usd_each");
    table.add({cell(line, "part"), whole(count), whole(each), whole(count * each),
               markdown_text(text_member(line, "price_source"), 200)});
  }
  table.add({"together", "", "", fmt::format("**{}**", whole_cell(purchase, "usd")), ""});
  return fmt::format("\n### Buy\n\n{}", table.text());
}

std::string models(const Json& result, const Json& purchase) {
  MarkdownTable table({"model", "runs as", "output tok/s", "P99 TTFT ms", "P99 TPOT ms", "SLO", "KV tokens",
                       "GPUs W", "USD / 10^6 output", "grade"},
                      "llrrrlrrrl");
  std::vector<std::string> missed;
  for (const Json& model : list(purchase, "models")) {
    const Json& metrics = member(model, "metrics");
    table.add({cell(model, "name"), markdown_text(layout_text(member(model, "layout"))),
               cell(metrics, "output_throughput"), cell(metrics, "p99_ttft_ms"), cell(metrics, "p99_tpot_ms"),
               slo_cell(result, model), whole_cell(model, "kv_tokens"), whole_cell(model, "gpu_watts"),
               cell(model, "usd_per_million_output_tokens"),
               text_member(model, "grade") + (true_member(model, "extrapolated") ? ", extrapolated" : "")});
    for (const std::string& what : texts_member(model, "missed"))
      missed.push_back(text_member(model, "name") + ": " + what);
  }
  return fmt::format("\n### What it gives\n\n{}{}{}", table.text(), missed.empty() ? "" : "\n",
                     bullets(missed));
}

void add_purchase(MarkdownTable& table, const Json& result, const std::string& differs, const Json& of) {
  const Json& cost = member(of, "cost");
  table.add({differs, markdown_text(text_member(of, "description"), longest_description),
             whole_cell(of, "usd"), whole_cell(of, "peak_watts"), cell(of, "rack_units"),
             cell(of, "output_throughput"), slo_cell(result, of), whole_cell(cost, "tco_usd"),
             cell(cost, "usd_per_million_output_tokens")});
}

/// "price of x (USD): 8,565 -> 9,310 (+9 %)"
std::string flip_text(const Json& flip) {
  const double base = number_member(flip, "base"), at = number_member(flip, "at");
  return fmt::format("{}: {} -> {} ({:+.0f} %){}", text_member(flip, "input"), number_text(base),
                     number_text(at), 100 * (at / base - 1),
                     true_member(flip, "simulated") ? ", simulated" : "");
}

/// What makes an alternative the better buy, and what does not, with how far each was moved.
std::string flips_of(const Json& alternative) {
  std::vector<std::string> flips;
  std::string still;
  for (const Json& flip : list(alternative, "flips")) {
    if (std::isfinite(number_member(flip, "at")))
      flips.push_back(flip_text(flip));
    else
      still += fmt::format("{}{} ({} to {})", still.empty() ? "" : ", ", text_member(flip, "input"),
                           number_text(number_member(flip, "lowest")),
                           number_text(number_member(flip, "highest")));
  }
  const std::string name =
      markdown_text(text_member(member(alternative, "purchase"), "description"), longest_description);
  std::string text;
  if (!flips.empty())
    text += fmt::format("\n**{}** would be the better buy with\n\n{}", name, bullets(flips));
  else if (!still.empty())
    text += fmt::format("\n**{}**: no input alone makes it the better buy.\n", name);
  if (!still.empty()) text += fmt::format("\nNot by: {}.\n", markdown_text(still, longest_description * 10));
  return text;
}

std::string alternatives(const Json& result) {
  MarkdownTable table({"differs in", "purchase", "USD", "W at the wall", "rack units", "output tok/s", "SLO",
                       "TCO USD", "USD / 10^6 output"},
                      "llrrrrlrr");
  add_purchase(table, result, "(the best)", member(result, "best"));
  std::string flips;
  for (const Json& alternative : list(result, "alternatives")) {
    std::string differs;
    for (const std::string& what : texts_member(alternative, "differs"))
      differs += (differs.empty() ? "" : ", ") + what;
    const Json& purchase = member(alternative, "purchase");
    add_purchase(table, result, markdown_text(differs, 200), purchase);
    flips += flips_of(alternative);
  }
  return fmt::format("\n### Alternatives that differ in kind\n\n{}{}", table.text(), flips);
}

std::string left_out(const Json& result) {
  std::vector<std::string> lines;
  for (const Json& entry : list(result, "left_out"))
    lines.push_back(fmt::format("{}: {}", text_member(entry, "reason"), whole_cell(entry, "count")));
  return lines.empty() ? "" : fmt::format("\n### Purchases left out\n\n{}", bullets(lines));
}

}  // namespace

std::string purchase_markdown(const Json& result) {
  const Json& best = member(result, "best");
  std::string text =
      fmt::format("## Purchase: {}\n\n**Buy {}: {} USD**", markdown_text(text_member(result, "scenario"), 60),
                  markdown_text(text_member(best, "description"), 300), whole_cell(best, "usd"));
  if (!list(result, "slo").empty())
    text += true_member(best, "meets_slo") ? ": the SLO is met" : ": the SLO is not met";
  text +=
      fmt::format("\n\n{} output tokens/s, {} W at the wall at the most, {} rack units",
                  cell(best, "output_throughput"), whole_cell(best, "peak_watts"), cell(best, "rack_units"));
  if (const Json& cost = member(best, "cost"); cost.is_object())
    text += fmt::format("; {} USD over {} years with electricity, {} USD per million output tokens",
                        whole_cell(cost, "tco_usd"), cell(member(result, "economics"), "years"),
                        cell(cost, "usd_per_million_output_tokens"));
  text += "\n\n" + bullets(texts_member(result, "question"));
  text += bill(best) + models(result, best) + alternatives(result) + left_out(result);
  text += code(text_member(result, "command"));
  return text + fmt::format("\nseed {:g}, {} purchases possible, {} simulated\n",
                            number_member(result, "seed"), whole_cell(result, "possible"),
                            list(result, "simulated").size());
}

}  // namespace sextant::detail
