#include <fmt/core.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <optional>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "reports/metrics_text.hpp"
#include "reports/perfetto.hpp"
#include "reports/plan_json.hpp"
#include "reports/request_csv.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

constexpr std::uint64_t most_replications = 100000;
constexpr std::uint64_t default_trace_events = 400'000;

/// What is written of a run while it goes on: its timeline and its list of requests, where asked for.
class RunFiles {
 public:
  RunFiles(const ParsedWords& words, const Scenario& scenario, std::uint64_t replications) {
    const auto most = words.whole_number("trace-events", 1, 1'000'000'000);
    if (most && !words.has("trace")) throw InputError("--trace-events: found no --trace, expected one");
    // Replicas of both pools are watched, where prefill and decode are apart.
    const FixedDeployment& main = *scenario.deployment;
    const int replicas = main.dp + (scenario.prefill ? scenario.prefill->deployment.dp : 0);
    const int stages = std::max(main.pp, scenario.prefill ? scenario.prefill->deployment.pp : 1);
    if (open(words, "trace", replications, trace_file_)) {
      timeline_.emplace([this](std::string_view text) { trace_file_->write(text); }, replicas, stages,
                        static_cast<std::int64_t>(most.value_or(default_trace_events)));
      observers_.add(*timeline_);
    }
    if (open(words, "requests", replications, requests_file_)) {
      requests_.emplace([this](std::string_view text) { requests_file_->write(text); });
      observers_.add(*requests_);
    }
    if (words.text("json") == "-") ++to_stdout_;
    if (words.has("json") || words.has("html")) {
      series_.emplace(replicas, stages);
      observers_.add(*series_);
    }
  }
  /// The run over time, where a file is to have it.
  const RunSeries* series() const { return series_ ? &*series_ : nullptr; }
  RunObserver* observer() { return observers_.empty() ? nullptr : &observers_; }
  /// Whether a file goes to stdout, in place of the text.
  bool to_stdout() const { return to_stdout_ > 0; }
  void finish() {
    if (timeline_) timeline_->finish();
    if (trace_file_) trace_file_->commit();
    if (requests_file_) requests_file_->commit();
    if (timeline_ && timeline_->cut_at())
      fmt::print(stderr,
                 "note: the timeline ends at {:.3f} s, after {} events; --trace-events sets how many\n",
                 timeline_->cut_at()->seconds(), timeline_->events());
  }

 private:
  bool open(const ParsedWords& words, const char* option, std::uint64_t replications,
            std::optional<TextFileWriter>& file) {
    const std::optional<std::string> path = words.text(option);
    if (!path) return false;
    if (replications > 1)
      throw InputError(fmt::format("--{}: found {} replications, expected one", option, replications));
    if (*path == "-") ++to_stdout_;
    file.emplace(*path);
    return true;
  }

  int to_stdout_ = 0;
  std::optional<TextFileWriter> trace_file_, requests_file_;
  std::optional<PerfettoWriter> timeline_;
  std::optional<RequestCsvWriter> requests_;
  std::optional<RunSeries> series_;
  RunObservers observers_;
};

options::options_description simulate_options() {
  options::options_description description("Options", 100);
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("json", text("FILE"),
                            "every figure as JSON (reports/README.md); - is stdout, without the text")(
      "replications", text("N"), "independent repetitions of the workload; prints their mean and spread")(
      "trace", text("FILE"),
      "a timeline of the run for Perfetto (ui.perfetto.dev) or chrome://tracing: stages, requests, queue, "
      "KV")("trace-events", text("N"), "end the timeline after so many events (default: 400000, some 60 MB)")(
      "percentile-metrics", text("NAMES"),
      "which latencies to print, of ttft,tpot,itl,e2el (default: all four)")(
      "metric-percentiles", text("NUMBERS"),
      "their percentiles, in the text and the JSON, as 50,90,99.9 (default: 90,99)")(
      "requests", text("FILE"), "a row for each request as CSV (reports/README.md)")(
      "step-by-step", "visit every request in every step: the same results, slower");
  add_rendered_options(description);
  add_scenario_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant simulate SCENARIO [options]\n\n"
      "Runs the scenario's workload against its fixed deployment, event by event, and prints what `vllm "
      "bench serve`\n"
      "would. A scenario whose deployment is \"search\" needs one given with --set.\n\n" +
      options_text(description) +
      "\nExample:\n"
      "  sextant simulate scenarios/part1-405b.json --set 'deployment={\"tp\":1,\"pp\":3}' --replications "
      "4\n\n" +
      metric_formulas() +
      "\nExit codes: 0 simulated, 2 bad input, 3 the deployment does not fit in memory or serves no request, "
      "130 interrupted.\n");
}

std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> parts(1);
  for (const char c : text) {
    if (c == ',')
      parts.emplace_back();
    else
      parts.back() += c;
  }
  return parts;
}

/// --percentile-metrics: "ttft,itl".
ShownLatencies read_shown_latencies(const ParsedWords& words) {
  const std::optional<std::string> text = words.text("percentile-metrics");
  if (!text) return all_latencies();
  ShownLatencies shown = split_at_commas(*text);
  for (const std::string& name : shown)
    if (std::find(all_latencies().begin(), all_latencies().end(), name) == all_latencies().end())
      throw InputError(fmt::format("--percentile-metrics: found '{}', expected some of ttft,tpot,itl,e2el{}",
                                   name, did_you_mean(name, all_latencies())));
  return shown;
}

/// --metric-percentiles: "50,99.9".
std::vector<double> read_percentiles(const ParsedWords& words) {
  std::vector<double> percentiles;
  const std::optional<std::string> text = words.text("metric-percentiles");
  if (!text) return percentiles;
  for (const std::string& part : split_at_commas(*text)) {
    double value = -1;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc() || end != part.data() + part.size() || !(value >= 0 && value <= 100))
      throw InputError(fmt::format(
          "--metric-percentiles: found '{}', expected numbers from 0 to 100, as 50,90,99.9", part));
    percentiles.push_back(value);
  }
  return percentiles;
}

std::vector<SimulatedRun> simulate_replications(const Scenario& scenario, std::uint64_t replications,
                                                const PlanOptions& settings, bool quiet) {
  std::vector<SimulatedRun> runs(replications);
  Progress progress("simulating replications", quiet);
  std::atomic<int> done{0};
  const int count = static_cast<int>(replications);
  run_parallel(count, settings.threads, [&](int i) {
    PlanOptions one = settings;
    one.threads = 1;
    one.replication = static_cast<std::uint64_t>(i);
    if (i > 0) one.observer = nullptr;  // files are of the first
    SimulatedRun& run = runs[static_cast<std::size_t>(i)];
    run.replication = one.replication;
    run.candidate = make_plan(scenario, one).candidates.front();
    progress.show(++done, count);
  });
  return runs;
}

}  // namespace

int run_simulate(const Arguments& words) {
  const options::options_description description = simulate_options();
  const ParsedWords parsed = parse_words("simulate", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const std::uint64_t replications = parsed.whole_number("replications", 1, most_replications).value_or(1);
  PlanOptions settings;
  settings.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  const ShownLatencies shown = read_shown_latencies(parsed);
  settings.percentiles = read_percentiles(parsed);
  const ScenarioInput input = read_scenario_input("simulate", parsed);
  if (!input.scenario.deployment)
    throw InputError(
        fmt::format("{}: deployment: found \"search\", expected a fixed layout; use sextant plan, or --set "
                    "'deployment={{\"tp\":1,\"pp\":3}}'",
                    input.document.file()));
  if (input.scenario.workload.find_highest)
    throw InputError(
        fmt::format("{}: workload: found \"highest\", expected a load to simulate; sextant plan finds "
                    "the highest",
                    input.document.file()));
  const std::optional<std::string> json = parsed.text("json");
  check_writable("--json", json);
  const RenderedFiles rendered("simulate", parsed);
  settings.intervals = false;
  settings.step_by_step = parsed.has("step-by-step");
  settings.seed = input.scenario.workload.seed;
  settings.stop = watch_for_interrupt();
  RunFiles files(parsed, input.scenario, replications);
  settings.observer = files.observer();

  const std::vector<SimulatedRun> runs =
      simulate_replications(input.scenario, replications, settings, parsed.has("quiet"));
  if (settings.stop->load()) throw Interrupted();
  files.finish();
  const std::string document =
      json || rendered.wanted()
          ? metrics_json(input.scenario, runs, reproduction_command("simulate", parsed), files.series())
          : "";
  write_result(json, document);
  rendered.write(document);
  if (!files.to_stdout() && !rendered.to_stdout())
    print(metrics_text(input.scenario, runs, stdout_style(), shown));
  return 0;
}

}  // namespace sextant
