#include "reports/mix_text.hpp"

#include <fmt/core.h>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

using detail::heading;

std::string slo_text(const std::vector<ServiceLevel>& slo) {
  std::string text;
  for (const ServiceLevel& level : slo)
    text += fmt::format("{}{} {} {}", text.empty() ? "" : ", ", metric_label(level.metric),
                        level.at_most ? "<=" : ">=", number_text(level.bound));
  return text;
}

std::string factor_text(double factor) {
  return factor > 0 ? fmt::format("{:.2f}", factor) : "-";
}

std::string layout_text(const MixAnswer& answer) {
  if (answer.plan.candidates.empty()) return "-";
  const Layout& layout = answer.plan.candidates.front().layout;
  return fmt::format("tp {} x pp {} x dp {}", layout.tp, layout.pp, layout.dp);
}

Table::Cell slo_cell(const MixAnswer& answer) {
  return {answer.meets_slo ? "met" : "missed", answer.meets_slo ? Tone::good : Tone::bad};
}

std::string question_section(const MixQuestion& question, const MixPlan& plan, TextStyle style) {
  constexpr std::size_t longest_name = 60, longest_description = 1000;
  std::string text = paint(printable(question.name, longest_name), Tone::strong, style) + "\n";
  if (!question.description.empty())
    text += wrapped(printable(question.description, longest_description), "  ", style.width);
  for (const std::string& line : mix_question_lines(question, plan)) text += wrapped(line, "  ", style.width);
  if (plan.interrupted)
    text += wrapped(
        fmt::format("interrupted: the best of the {} divisions simulated until then", plan.proof.simulated),
        "  ", style.width);
  return text;
}

std::string answer_section(const MixPlan& plan, TextStyle style) {
  Table table({{"model", Table::Align::left, true},
               {"on", Table::Align::left, true},
               {"runs as", Table::Align::left},
               {"output\ntok/s"},
               {"P99\nTTFT ms"},
               {"P99\nTPOT ms"},
               {"SLO", Table::Align::left},
               {"load can\ngrow x"}});
  for (const MixAnswer& answer : plan.best.models) {
    if (answer.plan.candidates.empty()) {
      table.add({answer.model, answer.kinds, "-", "-", "-", "-", slo_cell(answer), "-"});
      continue;
    }
    const ServingMetrics& metrics = answer.plan.candidates.front().metrics;
    table.add({answer.model, answer.kinds, layout_text(answer), number_text(metrics.output_throughput),
               number_text(metrics.ttft.p99), number_text(metrics.tpot.p99), slo_cell(answer),
               factor_text(answer.factor)});
  }
  std::string text = heading("Answer", style) + table.text(style);
  for (const MixAnswer& answer : plan.best.models)
    text += wrapped(fmt::format("{}: {}", answer.model, device_list(answer.gpus)), "  ", style.width);
  for (const std::string& reason : plan.reasons) text += wrapped(reason, "  - ", style.width);
  return text;
}

std::string others_section(const MixPlan& plan, TextStyle style) {
  if (plan.others.empty()) return "";
  Table table({{"", Table::Align::left},
               {"model", Table::Align::left, true},
               {"on", Table::Align::left, true},
               {"runs as", Table::Align::left},
               {"SLO", Table::Align::left},
               {"load can\ngrow x"}});
  int rank = 1;
  for (const MixDivision& other : plan.others) {
    ++rank;
    for (std::size_t m = 0; m < other.models.size(); ++m) {
      const MixAnswer& answer = other.models[m];
      table.add({m == 0 ? std::to_string(rank) : "", answer.model, answer.kinds, layout_text(answer),
                 slo_cell(answer), factor_text(answer.factor)});
    }
  }
  return heading("Other divisions that were simulated", style) + table.text(style);
}

std::string model_sections(const MixAnswer& answer, TextStyle style) {
  using namespace detail;
  std::string text = heading(answer.model, style);
  for (const std::string& line : question_lines(answer.scenario)) text += wrapped(line, "  ", style.width);
  if (answer.plan.candidates.empty()) return text + wrapped(answer.failure, "  ", style.width);
  const Candidate& best = answer.plan.candidates.front();
  text += detail::answer_section(answer.scenario, best, style);
  text += chosen_section(answer.plan, style);
  text += stages_section(best, style) + hops_section(best, style);
  text += memory_section(best, answer.scenario.engine.gpu_memory_utilization, style);
  return text + limits_section(answer.plan, style) + candidates_section(answer.scenario, answer.plan, style);
}

}  // namespace

std::vector<std::string> mix_question_lines(const MixQuestion& question, const MixPlan& plan) {
  std::vector<std::string> lines;
  for (std::size_t m = 0; m < question.models.size(); ++m) {
    const Scenario& scenario = plan.best.models[m].scenario;
    lines.push_back(
        fmt::format("model: {}, weights {}, KV cache {}; {}; SLO: {}", scenario.model.architecture.name,
                    scenario.model.weights.name, scenario.model.kv.name,
                    detail::workload_line(question.models[m].scenario.workload), slo_text(scenario.slo)));
  }
  lines.push_back(detail::question_lines(question.models.front().scenario)[1]);
  lines.emplace_back("the models are served at the same time, each on GPUs of its own");
  return lines;
}

std::string mix_text(const MixQuestion& question, const MixPlan& plan, TextStyle style) {
  std::string text = question_section(question, plan, style) + answer_section(plan, style);
  text += others_section(plan, style);
  for (const MixAnswer& answer : plan.best.models) text += model_sections(answer, style);
  text += heading("To reproduce", style);
  std::string fingerprints;
  for (const MixAnswer& answer : plan.best.models)
    if (!answer.plan.candidates.empty())
      fingerprints += fmt::format("{}{} {}", fingerprints.empty() ? "" : ", ", answer.model,
                                  answer.plan.candidates.front().metrics.fingerprint);
  return text + wrapped(fmt::format("seed {}, {} divisions, {} estimated, {} simulated; fingerprints: {}",
                                    question.models.front().scenario.workload.seed, plan.proof.divisions,
                                    plan.proof.estimated, plan.proof.simulated, fingerprints),
                        "  ", style.width);
}

}  // namespace sextant
