#include "reports/whatif_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "reports/markdown.hpp"

namespace sextant {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Movement movement(double base, double variant, double low, double high) {
  return {base, variant, Interval{low, variant / base, high}};
}

/// A row whose throughput goes from 100 to `throughput`, with times that stay, and an interval of a percent.
WhatIfRow row(const std::string& name, double throughput) {
  WhatIfRow made;
  made.name = name;
  made.changes = {"cluster.network.mtu = 1500"};
  made.kept = Candidate{};
  made.movements["output_throughput"] =
      movement(100, throughput, throughput / 100 - 0.01, throughput / 100 + 0.01);
  made.movements["mean_ttft_ms"] = movement(10, 10, 0.99, 1.01);
  made.movements["mean_tpot_ms"] = movement(10, 10, 0.99, 1.01);
  return made;
}

TEST(WhatIfAnswer, NamesWhatGainsAndLosesMostAndWhatCannotBe) {
  WhatIf result;
  WhatIfRow lost;
  lost.name = "lost";
  lost.infeasible = "nothing fits";
  result.rows = {row("little", 102), row("much", 110), row("worse", 80), lost};
  EXPECT_THAT(
      whatif_answer(result),
      ElementsAre("the most is gained by much: output tokens/s +10.0 % (+9.0 to +11.0)",
                  "the most is lost by worse: output tokens/s -20.0 % (-21.0 to -19.0)", "cannot be: lost"));
  EXPECT_EQ(whatif_worth(result.rows[1]), "more than the error of the prediction");
  EXPECT_EQ(whatif_worth(lost), "cannot be");
}

TEST(WhatIfAnswer, AChangeWithinTheErrorOrTooSmallGainsNothing) {
  WhatIf result;
  // 0.8 % is noticeable, but its interval of -0.2 to +1.8 % holds 0; 0.3 % nobody notices.
  result.rows = {row("uncertain", 100.8), row("tiny", 100.3)};
  EXPECT_THAT(whatif_answer(result), ElementsAre("no change gains anything that anyone would notice"));
  EXPECT_EQ(whatif_worth(result.rows[0]), "within the error of the prediction");
  EXPECT_EQ(whatif_worth(result.rows[1]), "under 0.5 %: nothing anyone would notice");
}

// Fewer users get fewer tokens in all and each of them sooner: that is another question, not a loss.
TEST(WhatIfAnswer, AnotherLoadIsNeitherAGainNorALoss) {
  WhatIf result;
  WhatIfRow fewer = row("fewer users", 50);
  fewer.changes = {"workload.max_concurrency = 4"};
  result.rows = {fewer};
  EXPECT_THAT(whatif_answer(result), ElementsAre("another load, so neither a gain nor a loss: fewer users"));
  result.rows.push_back(row("much", 110));
  EXPECT_THAT(whatif_answer(result),
              ElementsAre("the most is gained by much: output tokens/s +10.0 % (+9.0 to +11.0)",
                          "another load, so neither a gain nor a loss: fewer users"));
}

TEST(WhatIfMarkdown, AnswersFirstAndEscapesWhatComesFromAFile) {
  const auto result = nlohmann::ordered_json::parse(R"({"format": "sextant whatif", "version": 1,
    "scenario": "a|b<script>", "answer": ["the most is gained by *x*"],
    "base": {"layout": "tp 1", "metrics": {"output_throughput": 100}, "grade": "fitted"},
    "variants": [{"name": "@all", "changes": ["a = 1"], "infeasible": "nothing fits", "kept": null, "best": null}]})");
  const std::string text = result_markdown(result);
  EXPECT_TRUE(text.starts_with("## What if: a\\|b&lt;script&gt;\n\n**the most is gained by \\*x\\***"));
  EXPECT_THAT(text, HasSubstr("| &#64;all | cannot be |"));
  EXPECT_EQ(text.find("<script>"), std::string::npos);
}

}  // namespace
}  // namespace sextant
