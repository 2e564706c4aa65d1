// Each file in scenarios/, planned with the test-only profiles of tests/fixtures/profiles (so that a better
// fit does not move it), against the golden result of its name. After a change that is meant to move results:
// SEXTANT_UPDATE_GOLDEN=1 ctest -R golden, and explain the difference in the commit.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/base/text_file.hpp"
#include "sim/planner/mix.hpp"
#include "sim/planner/plan.hpp"
#include "sim/planner/purchase.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;
const std::string source = SEXTANT_SOURCE_DIR;

constexpr std::int64_t most_requests = 20'000;

/// Six significant digits: enough to catch any change, few enough not to depend on the last bit of a
/// mathematical library.
double rounded(double value) {
  return std::stod(fmt::format("{:.6g}", value));
}

Json summary(const std::vector<StageReport>& reports) {
  Json stages = Json::array();
  for (const StageReport& stage : reports)
    stages.push_back({{"gpus", stage.gpus},
                      {"layers", stage.layers.size()},
                      {"weights_gb", rounded(stage.memory.budget.weights / 1e9)},
                      {"kv_tokens", stage.kv_tokens}});
  return stages;
}

Json summary(const Candidate& candidate) {
  const Json stages = summary(candidate.stages);
  const ServingMetrics& m = candidate.metrics;
  Json json = {{"layout", candidate.layout.describe()},
               {"stages", stages},
               {"finished", m.finished},
               {"rejected", m.rejected},
               {"preemptions", m.preemptions},
               {"steps", m.steps},
               {"output_throughput", rounded(m.output_throughput)},
               {"mean_ttft_ms", rounded(m.ttft.mean)},
               {"p99_ttft_ms", rounded(m.ttft.p99)},
               {"mean_tpot_ms", rounded(m.tpot.mean)},
               {"p99_itl_ms", rounded(m.itl.p99)},
               {"fingerprint", m.fingerprint}};
  if (candidate.prefill) {
    json["prefill"] = {{"layout", candidate.prefill->layout.describe()},
                       {"stages", summary(candidate.prefill->stages)},
                       {"kv_transfers", m.disaggregation->kv.transfers},
                       {"kv_gb", rounded(m.disaggregation->kv.bytes / 1e9)},
                       {"mean_transfer_ms", rounded(m.disaggregation->kv.transfer.mean)}};
  }
  return json;
}

Json summary(const Plan& plan, const std::vector<VariantResult>& variants) {
  Json json;
  json["best"] = summary(plan.candidates.front());
  json["candidates"] = plan.candidates.size();
  for (const Rejection& r : plan.rejections) json["rejections"].push_back(r.layout + ": " + r.reason);
  for (const VariantResult& v : variants)
    json["variants"][v.name] = v.plan ? summary(v.plan->candidates.front()) : Json(v.infeasible);
  return json;
}

Json summary(const PurchaseQuestion& question, const PlannedPurchase& planned) {
  Json json = {{"purchase", describe(question, planned.purchase)},
               {"usd", rounded(planned.totals.usd)},
               {"peak_watts", rounded(planned.totals.peak_watts)},
               {"output_throughput", rounded(planned.output_throughput)},
               {"meets_slo", planned.meets_slo}};
  for (const ModelAnswer& answer : planned.models) {
    const ServingMetrics& m = answer.best().metrics;
    json["models"][answer.model] = {{"layout", answer.best().layout.describe()},
                                    {"output_throughput", rounded(m.output_throughput)},
                                    {"p99_ttft_ms", rounded(m.ttft.p99)},
                                    {"p99_tpot_ms", rounded(m.tpot.p99)},
                                    {"fingerprint", m.fingerprint}};
  }
  return json;
}

/// The purchase and its alternatives out of a part of what the command would simulate, to save seconds; their
/// sensitivities are left to unit tests.
std::string purchase_result(const JsonValue& document) {
  const PurchaseQuestion question = read_purchase_question(document);
  PurchaseLimits limits;
  limits.flips = false;
  limits.intervals = false;
  limits.most_planned = 6;
  const PurchasePlan plan = plan_purchase(question, {}, limits);
  Json json = {{"best", summary(question, plan.best)}, {"possible", plan.possible}};
  for (const PurchaseAlternative& alternative : plan.alternatives)
    json["alternatives"].push_back(summary(question, alternative.planned));
  return json.dump(1) + "\n";
}

Json summary(const MixDivision& division) {
  Json json = {{"factor", rounded(division.factor)}, {"meets_slo", division.meets_slo}};
  for (const MixAnswer& answer : division.models) {
    json["models"][answer.model] = {{"on", answer.gpus}, {"factor", rounded(answer.factor)}};
    if (!answer.plan.candidates.empty())
      json["models"][answer.model]["run"] = summary(answer.plan.candidates.front());
  }
  return json;
}

/// The best division and the next, out of a part of what the command would simulate.
std::string mix_result(const JsonValue& document) {
  MixLimits limits;
  limits.most_simulated = 4;
  limits.layouts_simulated = 3;
  limits.layouts_kept = 1;
  PlanOptions options;
  options.intervals = false;
  const MixPlan plan = plan_mix(read_mix_question(document), options, limits);
  Json json = {{"best", summary(plan.best)},
               {"divisions", plan.proof.divisions},
               {"estimated", plan.proof.estimated},
               {"shared_links", plan.shared.size()}};
  if (!plan.others.empty()) json["next"] = summary(plan.others.front());
  return json.dump(1) + "\n";
}

void expect_golden(const std::string& name, const std::string& result) {
  const std::string path = source + "/tests/scenarios/golden/" + name + ".json";
  if (std::getenv("SEXTANT_UPDATE_GOLDEN") != nullptr) write_text_file(path, result);
  EXPECT_EQ(result, read_text_file(path));
}

class Golden : public testing::TestWithParam<std::string> {};

TEST_P(Golden, IsUnchanged) {
  setenv("SEXTANT_PROFILES", (source + "/tests/fixtures/profiles").c_str(), 1);
  JsonValue document = JsonValue::read(source + "/scenarios/" + GetParam() + ".json");
  if (asks_for_purchase(document)) return expect_golden(GetParam(), purchase_result(document));
  if (asks_for_mix(document)) return expect_golden(GetParam(), mix_result(document));
  Scenario scenario = read_scenario(document);
  // A million requests take seconds: fewer of them show a change as well (slow/ runs them all).
  if (scenario.workload.num_prompts > most_requests) {
    document = with_changes(document, {{"workload.num_prompts", std::to_string(most_requests)}});
    scenario = read_scenario(document);
  }
  EXPECT_EQ(scenario.name, GetParam()) << "a scenario is named as its file";
  PlanOptions options;
  options.intervals = false;
  const Plan plan = make_plan(scenario, options);
  expect_golden(GetParam(), summary(plan, plan_variants(document, scenario, plan, options)).dump(1) + "\n");
}

std::vector<std::string> scenario_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(source + "/scenarios"))
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  std::sort(names.begin(), names.end());
  return names;
}

INSTANTIATE_TEST_SUITE_P(Scenarios, Golden, testing::ValuesIn(scenario_names()), [](const auto& scenario) {
  std::string name = scenario.param;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; }, '_');
  return name;
});

}  // namespace
}  // namespace sextant
