#include "reports/metrics_text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>

#include "reports/names.hpp"
#include "reports/number_text.hpp"
#include "reports/plan_sections.hpp"
#include "reports/table.hpp"

namespace sextant {
namespace {

constexpr int block_width = 50;

std::string figure_line(const std::string& label, const std::string& value) {
  return fmt::format("{:<40} {:<10}", label + ":", value);
}

std::string trimmed(std::string line) {
  line.erase(line.find_last_not_of(' ') + 1);
  return line + "\n";
}

std::string count_line(const std::string& label, std::int64_t value) {
  return trimmed(figure_line(label, std::to_string(value)));
}

std::string number_line(const std::string& label, double value) {
  return trimmed(figure_line(label, std::isfinite(value) ? fmt::format("{:.2f}", value) : "-"));
}

struct LatencyBlock {
  const char* key;
  const char* title;
  const char* label;
  const LatencySummary* summary;
};

std::string latency_lines(const LatencyBlock& block, const std::vector<AskedPercentile>& asked) {
  std::string text = fmt::format("{:-^{}}\n", block.title, block_width) +
                     number_line(fmt::format("Mean {} (ms)", block.label), block.summary->mean) +
                     number_line(fmt::format("Median {} (ms)", block.label), block.summary->median);
  if (asked.empty())
    return text + number_line(fmt::format("P90 {} (ms)", block.label), block.summary->p90) +
           number_line(fmt::format("P99 {} (ms)", block.label), block.summary->p99);
  for (const AskedPercentile& percentile : asked)
    if (percentile.latency == block.key)
      text += number_line(fmt::format("P{} {} (ms)", percentile.percent, block.label), percentile.ms);
  return text;
}

std::string benchmark_block(const Scenario& scenario, const ServingMetrics& m, const ShownLatencies& shown) {
  std::string text = fmt::format("{:=^{}}\n", " Serving Benchmark Result (simulated) ", block_width);
  text += count_line("Successful requests", m.finished);
  text += count_line("Failed requests", m.rejected + m.in_flight);
  if (scenario.workload.max_concurrency > 0)
    text += count_line("Maximum request concurrency", scenario.workload.max_concurrency);
  if (scenario.workload.request_rate > 0)
    text += number_line("Request rate configured (RPS)", scenario.workload.request_rate);
  text += number_line("Benchmark duration (s)", m.duration_s);
  text += count_line("Total input tokens", m.prompt_tokens);
  text += count_line("Total generated tokens", m.output_tokens);
  text += number_line("Request throughput (req/s)", m.request_throughput);
  const RequestBounds& good = scenario.goodput;
  if (good.ttft_ms > 0 || good.tpot_ms > 0 || good.e2el_ms > 0)
    text += number_line("Request goodput (req/s)", m.request_goodput);
  text += number_line("Output token throughput (tok/s)", m.output_throughput);
  text += number_line("Total token throughput (tok/s)", m.total_token_throughput);
  const LatencyBlock blocks[] = {{"ttft", "Time to First Token", "TTFT", &m.ttft},
                                 {"tpot", "Time per Output Token (excl. 1st token)", "TPOT", &m.tpot},
                                 {"itl", "Inter-token Latency", "ITL", &m.itl},
                                 {"e2el", "End-to-end Latency", "E2EL", &m.e2el}};
  for (const LatencyBlock& block : blocks)
    if (std::find(shown.begin(), shown.end(), block.key) != shown.end())
      text += latency_lines(block, m.percentiles);
  return text + std::string(block_width, '=') + "\n";
}

std::string shares_section(const Candidate& candidate, TextStyle style) {
  Table table({{"stage"},
               {"GPUs", Table::Align::left, true},
               {"layers"},
               {"compute\n%"},
               {"comm.\n%"},
               {"bubble\n%"},
               {"hop busy\n%"}});
  for (std::size_t s = 0; s < candidate.metrics.stages.size(); ++s) {
    const StageShares& shares = candidate.metrics.stages[s];
    const StageReport* stage = s < candidate.stages.size() ? &candidate.stages[s] : nullptr;
    table.add({std::to_string(s), stage ? device_list(stage->gpus) : "",
               stage ? fmt::format("{}-{}", stage->layers.begin, stage->layers.end - 1) : "",
               percent_text(shares.compute), percent_text(shares.communication), percent_text(shares.bubble),
               percent_text(shares.hop_busy)});
  }
  const std::string of = candidate.layout.dp > 1 ? " (mean over replicas; GPUs of the first)" : "";
  return detail::heading("Stages, shares of the run's duration" + of, style) + table.text(style);
}

std::string spread_section(const std::vector<SimulatedRun>& runs, TextStyle style) {
  Table table({{"", Table::Align::left}, {"mean"}, {"+- (95 %)"}, {"deviation"}, {"least"}, {"most"}});
  for (const MetricSpread& s : spread_over(runs))
    table.add({metric_label(s.metric), number_text(s.mean), number_text(s.margin), number_text(s.deviation),
               number_text(s.low), number_text(s.high)});
  return detail::heading(fmt::format("Over {} replications", runs.size()), style) + table.text(style);
}

std::string slo_section(const Scenario& scenario, const Candidate& candidate, TextStyle style) {
  if (scenario.slo.empty()) return "";
  std::string text = detail::heading("SLO", style);
  if (candidate.meets_slo) return text + "  " + paint("met", Tone::good, style) + "\n";
  text += "  " + paint("not met", Tone::bad, style) + "\n";
  for (const std::string& missed : candidate.missed) text += wrapped(missed, "    ", style.width);
  return text;
}

}  // namespace

std::vector<MetricSpread> spread_over(const std::vector<SimulatedRun>& runs) {
  std::vector<MetricSpread> result;
  for (const SimulatedRun& run : runs) {
    const auto metrics = named_metrics(run.candidate.metrics);
    for (std::size_t m = 0; m < metrics.size(); ++m) {
      const double value = metrics[m].second;
      if (m == result.size()) result.push_back({metrics[m].first, 0, 0, value, value});
      result[m].mean += value / static_cast<double>(runs.size());
      result[m].low = std::min(result[m].low, value);
      result[m].high = std::max(result[m].high, value);
    }
  }
  if (runs.size() < 2) return result;
  for (const SimulatedRun& run : runs) {
    const auto metrics = named_metrics(run.candidate.metrics);
    for (std::size_t m = 0; m < metrics.size(); ++m)
      result[m].deviation +=
          std::pow(metrics[m].second - result[m].mean, 2) / static_cast<double>(runs.size() - 1);
  }
  const auto n = static_cast<double>(runs.size());
  const double t = boost::math::quantile(boost::math::students_t(n - 1), 0.975);
  for (MetricSpread& spread : result) {
    spread.deviation = std::sqrt(spread.deviation);
    spread.margin = t * spread.deviation / std::sqrt(n);
  }
  return result;
}

std::string metrics_text(const Scenario& scenario, const std::vector<SimulatedRun>& runs, TextStyle style,
                         const ShownLatencies& shown) {
  const Candidate& first = runs.front().candidate;
  std::string text = detail::question_section(scenario, style);
  if (first.prefill) text += "  prefill pool: " + first.prefill->layout.describe() + "\n";
  text += fmt::format("  {}: ", first.prefill ? "decode pool" : "deployment") +
          fmt::format("tp {} x pp {} x dp {}", first.layout.tp, first.layout.pp, first.layout.dp) +
          (first.layout.ep > 1 ? fmt::format(", ep {}", first.layout.ep) : "") +
          (first.layout.pp > 1 ? ", layers " + split_text(first.layout) : "") + "\n\n";
  text += benchmark_block(scenario, first.metrics, shown);
  if (runs.size() > 1) text += spread_section(runs, style);
  text += slo_section(scenario, first, style);
  text += shares_section(first, style);
  if (first.prefill) text += detail::prefill_pool_section(scenario, first, style);
  text += detail::heading("Queue and KV cache", style) + detail::occupancy_lines(first.metrics, style);
  if (first.energy) text += detail::heading("Power", style) + detail::energy_line(first, style);
  text += detail::heading("To reproduce", style);
  std::string fingerprint =
      fmt::format("seed {}, {} events, {} steps, fingerprint {}", scenario.workload.seed,
                  count_text(static_cast<std::int64_t>(first.metrics.events)),
                  count_text(first.metrics.steps), first.metrics.fingerprint);
  if (runs.size() > 1)
    fingerprint += fmt::format(" (replication {} of {})", runs.front().replication, runs.size());
  return text + wrapped(fingerprint, "  ", style.width);
}

}  // namespace sextant
