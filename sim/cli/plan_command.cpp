#include <fmt/core.h>

#include <limits>

#include "models/base/error.hpp"
#include "reports/plan_json.hpp"
#include "reports/plan_text.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/mix_command.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/purchase_command.hpp"
#include "sim/cli/rendered_files.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/planner/choices.hpp"
#include "sim/scenario/mix_question.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description plan_options() {
  options::options_description description("Options", 100);
  const auto file = [] { return options::value<std::string>()->value_name("FILE"); };
  description.add_options()("json", file(),
                            "every figure as JSON (reports/README.md); - is stdout, without the text")(
      "csv", file(), "one row per candidate; - is stdout, without the text")(
      "no-intervals",
      "skip the 90 % intervals of the model's error and how sure the choice is: some 36 simulations less")(
      "step-by-step", "visit every request in every step: the same results, slower");
  add_rendered_options(description);
  add_scenario_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant plan SCENARIO [options]\n\n"
      "Searches the layouts (tensor, pipeline and data parallel degrees, layers of each stage, placement) of "
      "the\n"
      "scenario's cluster, simulates the best, ranks them and says why. A fixed deployment is simulated "
      "alone.\n"
      "The scenario's variants are planned beside it. Where the cluster has choose-from, the hardware itself "
      "is chosen.\n"
      "With several models its GPUs are divided among them: every model keeps its SLO at its own load, and "
      "among "
      "the\n"
      "divisions that do, all loads can grow by the greatest common factor before the first SLO breaks.\n\n" +
      options_text(description) +
      "\nExample:\n"
      "  sextant plan scenarios/part1-405b.json --set workload.max_concurrency=32 --json plan.json\n"
      "  sextant plan scenarios/buy-405b.json --set cluster.budget.usd=150000\n"
      "  sextant plan scenarios/mix-70b-30b.json --set 'models[0].workload.request_rate=6'\n\n" +
      metric_formulas() +
      "\nExit codes: 0 planned, 2 bad input, 3 no layout (or division) fits, serves a request or can meet "
      "the SLO, 130 "
      "interrupted.\n");
}

}  // namespace

int run_plan(const Arguments& words) {
  const options::options_description description = plan_options();
  const ParsedWords parsed = parse_words("plan", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const std::optional<std::string> json = parsed.text("json"), csv = parsed.text("csv");
  const RenderedFiles rendered("plan", parsed);
  const bool to_stdout = json == "-" || csv == "-" || rendered.to_stdout();

  PlanOptions settings;
  settings.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  check_writable("--json", json);
  check_writable("--csv", csv);
  const JsonValue page = read_document(scenario_path("plan", parsed), parsed);
  if (asks_for_purchase(page)) return run_purchase(page, parsed);
  if (asks_for_mix(page)) return run_mix(page, parsed);
  ScenarioInput input{page, read_scenario(page)};  // read once: the file may be a pipe
  constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
  if (const auto seed = parsed.whole_number("seed", 0, any)) input.scenario.workload.seed = *seed;
  settings.intervals = !parsed.has("no-intervals");
  settings.step_by_step = parsed.has("step-by-step");
  settings.seed = input.scenario.workload.seed;
  settings.stop = watch_for_interrupt();

  Plan plan;
  std::vector<VariantResult> variants;
  {
    Progress progress("simulating layouts", parsed.has("quiet"));
    settings.progress = [&](int done, int total) { progress.show(done, total); };
    settings.best_so_far = true;
    plan = make_plan(input.scenario, settings);
    settings.best_so_far = false;
    if (!plan.interrupted) variants = plan_variants(input.document, input.scenario, plan, settings);
  }
  if (plan.interrupted && plan.candidates.empty()) {
    for (const std::string& reason : plan.reasons) print(reason + "\n");
    throw Interrupted();
  }
  if (settings.stop->load() && !plan.interrupted) throw Interrupted();
  const Scenario answered = answered_scenario(input.scenario, plan.candidates.front());
  const std::string result = json || rendered.wanted() ? plan_json(answered, plan, variants, &input.document,
                                                                   reproduction_command("plan", parsed))
                                                       : "";
  write_result(json, result);
  rendered.write(result);
  write_result(csv, csv ? plan_csv(answered, plan) : "");
  if (!to_stdout) print(plan_text(answered, plan, variants, stdout_style()));
  if (plan.interrupted) throw Interrupted();
  return 0;
}

}  // namespace sextant
