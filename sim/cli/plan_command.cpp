#include <fmt/core.h>

#include "models/base/error.hpp"
#include "reports/plan_json.hpp"
#include "reports/plan_text.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"
#include "sim/cli/scenario_input.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description plan_options() {
  options::options_description description("Options", 100);
  const auto file = [] { return options::value<std::string>()->value_name("FILE"); };
  description.add_options()("json", file(),
                            "every figure as JSON (reports/README.md); - is stdout, without the text")(
      "csv", file(), "one row per candidate; - is stdout, without the text")(
      "no-intervals", "skip the 90 % intervals of the model's error: 16 simulations less")(
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
      "The scenario's variants are planned beside it.\n\n" +
      options_text(description) +
      "\nExample:\n"
      "  sextant plan scenarios/part1-405b.json --set workload.max_concurrency=32 --json plan.json\n\n" +
      metric_formulas() +
      "\nExit codes: 0 planned, 2 bad input, 3 no layout fits or serves a request, 130 interrupted.\n");
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
  const ScenarioInput input = read_scenario_input("plan", parsed);
  check_writable("--json", json);
  check_writable("--csv", csv);
  settings.intervals = !parsed.has("no-intervals");
  settings.step_by_step = parsed.has("step-by-step");
  settings.seed = input.scenario.workload.seed;
  settings.stop = watch_for_interrupt();

  Plan plan;
  std::vector<VariantResult> variants;
  {
    Progress progress("simulating layouts", parsed.has("quiet"));
    settings.progress = [&](int done, int total) { progress.show(done, total); };
    plan = make_plan(input.scenario, settings);
    variants = plan_variants(input.document, input.scenario, plan, settings);
  }
  if (settings.stop->load()) throw Interrupted();
  const std::string document =
      json || rendered.wanted()
          ? plan_json(input.scenario, plan, variants, &input.document, reproduction_command("plan", parsed))
          : "";
  write_result(json, document);
  rendered.write(document);
  write_result(csv, csv ? plan_csv(input.scenario, plan) : "");
  if (!to_stdout) print(plan_text(input.scenario, plan, variants, stdout_style()));
  return 0;
}

}  // namespace sextant
