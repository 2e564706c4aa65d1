#include "sim/cli/purchase_command.hpp"

#include <limits>

#include "models/base/error.hpp"
#include "reports/purchase_text.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"

namespace sextant {

int run_purchase(const JsonValue& document, const ParsedWords& parsed) {
  const std::optional<std::string> json = parsed.text("json"), csv = parsed.text("csv");
  const PurchaseQuestion question = read_purchase_question(document);
  PlanOptions settings;
  settings.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  settings.seed = parsed.whole_number("seed", 0, std::numeric_limits<std::uint64_t>::max());
  settings.step_by_step = parsed.has("step-by-step");
  settings.stop = watch_for_interrupt();
  PurchasePlan plan;
  {
    Progress progress("comparing purchases", parsed.has("quiet"));
    settings.progress = [&](int done, int total) { progress.show(done, total); };
    PurchaseLimits limits;
    limits.intervals = !parsed.has("no-intervals");
    plan = plan_purchase(question, settings, limits);
  }
  const RenderedFiles rendered("plan", parsed);
  const std::string result =
      json || rendered.wanted() ? purchase_json(question, plan, reproduction_command("plan", parsed)) : "";
  write_result(json, result);
  rendered.write(result);
  write_result(csv, csv ? purchase_csv(question, plan) : "");
  if (json != "-" && csv != "-" && !rendered.to_stdout())
    print(purchase_text(question, plan, stdout_style()));
  if (plan.interrupted) throw Interrupted();
  return 0;
}

}  // namespace sextant
