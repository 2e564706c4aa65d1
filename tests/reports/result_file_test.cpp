#include "reports/result_file.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "reports/comparison.hpp"
#include "reports/markdown.hpp"
#include "reports/plan_json.hpp"
#include "reports/result_csv.hpp"
#include "tests/reports/example_plan.hpp"
#include "tests/reports/text_search.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

Json plan_result() {
  return parse_result(plan_json(test::example_scenario(), test::example_plan(), test::example_variants()),
                      "plan.json");
}

std::string refusal(const std::string& text) {
  try {
    parse_result(text, "a.json");
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(ResultFile, RefusesWhatIsNoResultNamingTheFile) {
  EXPECT_NE(refusal("{\"format\": \"sextant pan\", \"version\": 1}").find("a.json: format"),
            std::string::npos);
  EXPECT_NE(refusal("{\"format\": \"sextant plan\", \"version\": 2}").find("found 2, expected 1"),
            std::string::npos);
  EXPECT_NE(refusal("{\"version\": 1}").find("format"), std::string::npos);
  EXPECT_NE(refusal("[1]").find("a.json"), std::string::npos);
  EXPECT_NE(refusal("{").find("a.json"), std::string::npos);
}

TEST(ResultFile, ASavedPlanGivesTheCsvOfItsCommand) {
  EXPECT_EQ(result_csv(plan_result()), plan_csv(test::example_scenario(), test::example_plan()));
}

TEST(ResultFile, ResultsThatLackEverythingStillRender) {
  for (const char* format : {"sextant plan", "sextant metrics", "sextant validation", "sextant sweep"}) {
    const Json empty = {{"format", format}, {"version", 1}};
    EXPECT_FALSE(result_markdown(empty).empty());
    EXPECT_FALSE(result_csv(empty).empty());
    EXPECT_EQ(compare_results({"a", &empty}, {"b", &empty})["rows"].size(), 0U);
  }
}

const Json& row_of(const Json& comparison, const std::string& of, const std::string& figure) {
  for (const Json& row : comparison["rows"])
    if (row["of"] == of && row["figure"] == figure) return row;
  throw std::runtime_error("no row " + of + " " + figure);
}

TEST(Comparison, SaysWhatLiesOutsideTheIntervals) {
  const Json a = plan_result();
  Json b = a;
  b["candidates"][0]["metrics"]["output_throughput"] = 384.89;  // 349.9 x 1.1, within 290 to 401
  b["candidates"][0]["metrics"]["p99_ttft_ms"] = 4680.6;        // 3120.4 x 1.5, above 3500
  b["candidates"][0]["metrics"]["mean_ttft_ms"] = 406.15;       // 812.3 / 2; no interval
  b["candidates"][0]["intervals"] = Json::object();
  const Json comparison = compare_results({"a", &a}, {"b", &b});
  EXPECT_EQ(row_of(comparison, "answer", "output_throughput")["verdict"], "within intervals");
  EXPECT_NEAR(row_of(comparison, "answer", "output_throughput")["change_percent"].get<double>(), 10, 1e-9);
  EXPECT_EQ(row_of(comparison, "answer", "p99_ttft_ms")["verdict"], "outside");
  EXPECT_EQ(row_of(comparison, "answer", "mean_ttft_ms")["verdict"], "differs");
  EXPECT_NEAR(row_of(comparison, "answer", "mean_ttft_ms")["change_percent"].get<double>(), -50, 1e-9);
  EXPECT_EQ(row_of(comparison, "answer", "mean_tpot_ms")["verdict"], "same");
  EXPECT_EQ(row_of(comparison, "variant 400G", "output_throughput")["verdict"], "same");
}

TEST(Comparison, RefusesResultsOfDifferentKinds) {
  const Json plan = plan_result();
  const Json sweep = {{"format", "sextant sweep"}, {"version", 1}};
  try {
    compare_results({"a.json", &plan}, {"b.json", &sweep});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(error.what(), "b.json: found a \"sextant sweep\", expected a \"sextant plan\" as a.json is");
  }
}

TEST(Comparison, LinesUpTheValuesOfTwoValidations) {
  const auto validation = [](double predicted) {
    return Json{
        {"format", "sextant validation"},
        {"version", 1},
        {"groups", {{{"kind", "gemm"}, {"gpu", "toy"}, {"values", 1}, {"median_error_percent", 4.0}}}},
        {"values",
         {{{"file", "x.jsonl"},
           {"line", 3},
           {"shape", "m 1"},
           {"quantity", "us"},
           {"predicted", predicted},
           {"lo90", 0.9 * predicted},
           {"hi90", 1.1 * predicted}}}}};
  };
  const Json a = validation(10), near = validation(10.5), far = validation(20);
  // 10.5 lies within 9 to 11 and 10 within 9.45 to 11.55; 20 lies outside.
  EXPECT_EQ(row_of(compare_results({"a", &a}, {"b", &near}), "x.jsonl:3 (m 1)", "predicted us")["verdict"],
            "within intervals");
  EXPECT_EQ(row_of(compare_results({"a", &a}, {"b", &far}), "x.jsonl:3 (m 1)", "predicted us")["verdict"],
            "outside");
}

TEST(Markdown, NothingInATextBecomesMarkup) {
  EXPECT_EQ(markdown_text("a|b <img> @user #1 [x](y) `c` *d* _e_"),
            "a\\|b &lt;img&gt; &#64;user \\#1 \\[x\\](y) \\`c\\` \\*d\\* \\_e\\_");
  EXPECT_EQ(markdown_text("two\nlines").find('\n'), std::string::npos);
  EXPECT_LT(markdown_text(std::string(10000, 'n')).size(), 200U);
}

}  // namespace
}  // namespace sextant
