#include "reports/plan_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"

namespace sextant {
namespace {

std::string lengths_text(const LengthDistribution& lengths) {
  if (lengths.kind == LengthDistribution::Kind::uniform)
    return fmt::format("{} to {} tokens", count_text(lengths.low), count_text(lengths.high));
  return fmt::format("{} tokens{}", number_text(lengths.mean),
                     lengths.kind == LengthDistribution::Kind::fixed ? "" : " on average");
}

std::string arrivals_text(const Workload& workload) {
  const auto rates = [](double from, double to) {
    return from == to ? number_text(from) : fmt::format("{} to {}", number_text(from), number_text(to));
  };
  if (!workload.rate_stages.empty()) {
    std::string text;
    for (const RateStage& stage : workload.rate_stages)
      text += fmt::format("{}{}", text.empty() ? "" : ", then ", rates(stage.request_rate, stage.end_rate));
    return text + " requests/s";
  }
  if (workload.ramp_up)
    return rates(workload.ramp_up->start_rps, workload.ramp_up->end_rps) + " requests/s from first to last";
  switch (workload.arrival) {
    case Workload::Arrival::poisson:
      return fmt::format("{} requests/s (Poisson)", number_text(workload.request_rate));
    case Workload::Arrival::gamma:
      if (std::isinf(workload.burstiness))
        return fmt::format("{} requests/s (constant)", number_text(workload.request_rate));
      return fmt::format("{} requests/s (gamma, burstiness {})", number_text(workload.request_rate),
                         number_text(workload.burstiness));
    case Workload::Arrival::concurrency:
      return fmt::format("{} requests at once (closed loop)", count_text(workload.max_concurrency));
    case Workload::Arrival::trace:
      return "arrivals of the trace";
  }
  return {};
}

std::string workload_text(const Workload& workload) {
  std::string text = "workload: " + arrivals_text(workload);
  if (workload.max_concurrency > 0 && workload.arrival != Workload::Arrival::concurrency)
    text += fmt::format(", at most {} at once", count_text(workload.max_concurrency));
  if (workload.num_prompts > 0) text += fmt::format(", {} in all", count_text(workload.num_prompts));
  if (!workload.trace.empty()) return text + "; lengths from " + workload.trace;
  if (workload.conversations)
    text += fmt::format("; conversations of {} turns on average",
                        number_text(workload.conversations->num_turns.mean));
  return text + fmt::format("; prompts of {}, outputs of {}", lengths_text(workload.prompt),
                            lengths_text(workload.output));
}

std::string engine_text(const EngineOptions& engine) {
  std::string text = fmt::format("engine: {}, max_num_batched_tokens {}, max_num_seqs {}, max_model_len {}",
                                 engine.profile, count_text(engine.max_num_batched_tokens),
                                 count_text(engine.max_num_seqs), count_text(engine.max_model_len));
  if (engine.speculation)
    text += fmt::format(", {} tokens speculated a step", engine.speculation->num_speculative_tokens);
  if (!engine.batch_defaults.empty()) text += fmt::format(" ({})", engine.batch_defaults);
  return text;
}

std::string cluster_text(const Cluster& cluster) {
  std::map<std::string, int> kinds;
  for (const int gpu : cluster.gpus()) ++kinds[cluster.kind(gpu)];
  std::string text;
  for (const auto& [model, count] : kinds)
    text += fmt::format("{}{} x {}", text.empty() ? "" : ", ", count, model);
  text += fmt::format(" in {} node{}", cluster.nodes.size(), cluster.nodes.size() == 1 ? "" : "s");
  if (cluster.nodes.size() > 1)
    text += fmt::format(", {}, {}", cluster.network.transport,
                        cluster.network.gpudirect ? "GPUDirect" : "staged in host memory");
  return text;
}

std::string reproduction_section(const Scenario& scenario, const Plan& plan,
                                 const std::vector<VariantResult>& variants, TextStyle style) {
  std::uint64_t events = 0;
  for (const Candidate& candidate : plan.candidates) events += candidate.metrics.events;
  std::string text =
      fmt::format("seed {}, {} layout{} considered, {} simulated", scenario.workload.seed,
                  count_text(plan.considered), plan.considered == 1 ? "" : "s", plan.candidates.size());
  if (!plan.candidates.empty())
    text += fmt::format("; the answer's run: {} events, fingerprint {}; all simulated: {} events",
                        count_text(static_cast<std::int64_t>(plan.candidates.front().metrics.events)),
                        plan.candidates.front().metrics.fingerprint,
                        count_text(static_cast<std::int64_t>(events)));
  if (!variants.empty())
    text += fmt::format("; {} variant{}", variants.size(), variants.size() == 1 ? "" : "s");
  return detail::heading("To reproduce", style) + wrapped(text, "  ", style.width);
}

}  // namespace

namespace detail {

std::string workload_line(const Workload& workload) {
  return workload_text(workload);
}

std::string heading(const std::string& title, TextStyle style) {
  return fmt::format("\n{}\n", paint(title, Tone::strong, style));
}

std::vector<std::string> question_lines(const Scenario& scenario) {
  return {fmt::format("model: {}, weights {}, KV cache {}", scenario.model.architecture.name,
                      scenario.model.weights.name, scenario.model.kv.name),
          "cluster: " + cluster_text(scenario.cluster), engine_text(scenario.engine),
          workload_text(scenario.workload)};
}

std::string question_section(const Scenario& scenario, TextStyle style) {
  constexpr std::size_t longest_name = 60;
  std::string text = paint(printable(scenario.name, longest_name), Tone::strong, style) + "\n";
  if (!scenario.description.empty()) text += wrapped(printable(scenario.description, 300), "  ", style.width);
  for (const std::string& line : question_lines(scenario)) text += wrapped(line, "  ", style.width);
  return text;
}

}  // namespace detail

std::string plan_text(const Scenario& scenario, const Plan& plan, const std::vector<VariantResult>& variants,
                      TextStyle style) {
  using namespace detail;
  std::string text = question_section(scenario, style);
  if (plan.candidates.empty()) {
    text += heading("Answer", style) + "  no layout was simulated\n";
    return text + rejections_section(plan.rejections, style) +
           reproduction_section(scenario, plan, variants, style);
  }
  const Candidate& best = plan.candidates.front();
  text += answer_section(scenario, best, style);
  text += load_section(best, style);
  text += chosen_section(plan, style);
  text += front_section(scenario, plan, style);
  text += stages_section(best, style);
  text += hops_section(best, style);
  text += memory_section(best, scenario.engine.gpu_memory_utilization, style);
  text += families_section(best, style);
  if (best.prefill) text += prefill_pool_section(scenario, best, style);
  text += limits_section(plan, style);
  text += certainty_section(plan, style);
  text += candidates_section(scenario, plan, style);
  text += rejections_section(plan.rejections, style);
  text += variants_section(scenario, plan, variants, style);
  return text + reproduction_section(scenario, plan, variants, style);
}

}  // namespace sextant
