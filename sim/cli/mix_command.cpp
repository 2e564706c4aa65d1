#include "sim/cli/mix_command.hpp"

#include <limits>

#include "models/base/error.hpp"
#include "reports/mix_text.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"

namespace sextant {

int run_mix(const JsonValue& document, const ParsedWords& parsed) {
  const std::optional<std::string> json = parsed.text("json"), csv = parsed.text("csv");
  MixQuestion question = read_mix_question(document);
  PlanOptions settings;
  settings.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  settings.seed = parsed.whole_number("seed", 0, std::numeric_limits<std::uint64_t>::max());
  settings.step_by_step = parsed.has("step-by-step");
  settings.intervals = !parsed.has("no-intervals");
  settings.stop = watch_for_interrupt();
  if (settings.seed)
    for (MixModel& model : question.models)
      model.scenario.workload.seed = model.growing.workload.seed = *settings.seed;
  MixPlan plan;
  {
    Progress progress("simulating divisions", parsed.has("quiet"));
    settings.progress = [&](int done, int total) { progress.show(done, total); };
    plan = plan_mix(question, settings);
  }
  const RenderedFiles rendered("plan", parsed);
  const std::string result =
      json || rendered.wanted() ? mix_json(question, plan, reproduction_command("plan", parsed)) : "";
  write_result(json, result);
  rendered.write(result);
  write_result(csv, csv ? mix_csv(question, plan) : "");
  if (json != "-" && csv != "-" && !rendered.to_stdout()) print(mix_text(question, plan, stdout_style()));
  if (plan.interrupted) throw Interrupted();
  return 0;
}

}  // namespace sextant
