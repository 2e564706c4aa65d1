// What the reports of one hand-made plan look like, word for word. After a change that is meant to change
// them: SEXTANT_UPDATE_GOLDEN=1 build/tests/test_reports --gtest_filter='ReportGolden*', and look at the
// difference.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "models/base/text_file.hpp"
#include "reports/comparison.hpp"
#include "reports/markdown.hpp"
#include "reports/plan_json.hpp"
#include "reports/plan_text.hpp"
#include "reports/result_csv.hpp"
#include "reports/result_file.hpp"
#include "tests/reports/example_plan.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

void expect_golden(const std::string& name, const std::string& result) {
  const std::string path = std::string(SEXTANT_SOURCE_DIR) + "/tests/reports/golden/" + name;
  if (std::getenv("SEXTANT_UPDATE_GOLDEN") != nullptr) write_text_file(path, result);
  EXPECT_EQ(result, read_text_file(path));
}

/// Without the sources of shipped figures, which a better fit changes.
std::string settled(const std::string& document) {
  Json json = Json::parse(document);
  json["provenance"] = Json::array();
  return json.dump(1) + "\n";
}

std::string plan_document() {
  return settled(plan_json(test::example_scenario(), test::example_plan(), test::example_variants(), nullptr,
                           "sextant plan x.json"));
}

std::string metrics_document(double faster) {
  SimulatedRun first{0, test::example_candidate()}, second{1, test::example_candidate()};
  second.candidate.metrics.output_throughput *= faster;
  return settled(metrics_json(test::example_scenario(), {first, second}, "sextant simulate x.json"));
}

TEST(ReportGolden, PlanText) {
  expect_golden("plan.txt",
                plan_text(test::example_scenario(), test::example_plan(), test::example_variants(), {}));
}

TEST(ReportGolden, PlanJson) {
  expect_golden("plan.json", plan_document());
}

TEST(ReportGolden, PlanCsv) {
  expect_golden("plan.csv", plan_csv(test::example_scenario(), test::example_plan()));
}

TEST(ReportGolden, PlanMarkdown) {
  expect_golden("plan.md", result_markdown(Json::parse(plan_document())));
}

TEST(ReportGolden, MetricsText) {
  expect_golden("metrics.txt", metrics_text(test::example_scenario(), {{0, test::example_candidate()}}, {}));
}

TEST(ReportGolden, MetricsMarkdown) {
  expect_golden("metrics.md", result_markdown(Json::parse(metrics_document(1.1))));
}

TEST(ReportGolden, Comparison) {
  const Json a = Json::parse(plan_document());
  Json b = a;
  b["seed"] = 8;
  b["candidates"][0]["metrics"]["output_throughput"] = 420.0;  // above 401, where A's interval ends
  b["candidates"][0]["intervals"]["output_throughput"] = {{"low", 350}, {"nominal", 420}, {"high", 480}};
  const Json comparison = compare_results({"a.json", &a}, {"b.json", &b});
  expect_golden("comparison.txt", comparison_text(comparison, {}));
  expect_golden("comparison.md", comparison_markdown(comparison));
  expect_golden("comparison.csv", comparison_csv(comparison));
}

}  // namespace
}  // namespace sextant
