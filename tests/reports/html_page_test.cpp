#include "reports/html_page.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "reports/plan_json.hpp"
#include "reports/result_file.hpp"
#include "tests/reports/example_plan.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++found;
  return found;
}

Json plan_result() {
  return parse_result(plan_json(test::example_scenario(), test::example_plan(), test::example_variants()),
                      "plan.json");
}

/// The data as the page's script reads it.
Json data_of(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"result\">";
  const std::size_t from = page.find(begin) + begin.size();
  return Json::parse(page.substr(from, page.find("</script>", from) - from));
}

TEST(HtmlPage, HoldsTheResultAndLoadsNothing) {
  const std::string page = html_page(plan_result());
  EXPECT_EQ(data_of(page)["candidates"][0]["metrics"]["output_throughput"], 349.9);
  EXPECT_NE(page.find("default-src 'none'"), std::string::npos);
  EXPECT_EQ(count(page, "src=\""), 0U);
  EXPECT_EQ(page.find("@import"), std::string::npos);
  EXPECT_EQ(page.find("{{"), std::string::npos);
  EXPECT_LT(page.size(), largest_page_bytes);
}

TEST(HtmlPage, NoTextEndsTheScriptOrOpensATag) {
  Json result = plan_result();
  const std::size_t scripts = count(html_page(result), "</script");
  const std::string evil = "</script><script>alert(1)</script><!-- <script {{script}} {{data}}";
  result["scenario"] = evil;
  result["reasons"][0] = evil;
  result[evil] = evil;
  const std::string page = html_page(result);
  EXPECT_EQ(count(page, "</script"), scripts);
  EXPECT_EQ(count(page, "alert(1)</script>"), 0U);
  EXPECT_EQ(data_of(page)["scenario"], evil);
  EXPECT_EQ(data_of(page)[evil], evil);
}

TEST(PageData, StaysWithinItsSizeAndSaysWhatItLeftOut) {
  Json result = {{"format", "sextant sweep"}, {"version", 1}, {"rows", Json::array()}};
  for (int i = 0; i < 100'000; ++i)
    result["rows"].push_back({{"point", i}, {"status", "ok"}, {"output_throughput", i}});
  constexpr std::size_t most = 200'000;
  const Json data = page_data(result, most);
  EXPECT_LE(data.dump().size(), most);
  // Halved from 4,000 rows of some 50 bytes until 200,000 bytes hold them.
  EXPECT_GE(data["rows"].size(), 2000U);
  EXPECT_EQ(data["rows"][0]["point"], 0);
  EXPECT_GT(data["rows"].back()["point"].get<int>(), 99'000);  // picked evenly, to the end
  ASSERT_EQ(data["page_notes"].size(), 1U);
  EXPECT_NE(data["page_notes"][0].get<std::string>().find("of 100,000"), std::string::npos);
}

TEST(PageData, KeepsTheValuesFurthestOff) {
  Json result = {{"format", "sextant validation"}, {"version", 1}, {"values", Json::array()}};
  for (int i = 0; i < 10'000; ++i)
    result["values"].push_back({{"line", i}, {"error_percent", i == 7777 ? -90 : 1}});
  const Json data = page_data(result, 1'000'000);
  bool kept = false;
  for (const Json& value : data["values"]) kept = kept || value["line"] == 7777;
  EXPECT_TRUE(kept);
  EXPECT_LE(data["values"].size(), 4000U);
}

TEST(PageData, CutsLongTextsBetweenCharacters) {
  std::string name;
  for (int i = 0; i < 10'000; ++i) name += "\u05D0";
  const Json data = page_data({{"format", "sextant plan"}, {"scenario", name}}, 1'000'000);
  const auto text = data["scenario"].get<std::string>();
  EXPECT_LE(text.size(), 2003U);
  EXPECT_NO_THROW((void)Json(text).dump());  // still UTF-8
}

TEST(PageData, LeavesASmallResultAsItIs) {
  const Json data = page_data(plan_result(), 1'000'000);
  EXPECT_TRUE(data["page_notes"].empty());
  EXPECT_EQ(data["candidates"][0], plan_result()["candidates"][0]);
  EXPECT_FALSE(data["candidates"][1].contains("stages"));  // only the best is drawn
}

}  // namespace
}  // namespace sextant
