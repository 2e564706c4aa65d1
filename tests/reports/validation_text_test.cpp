#include "reports/validation_text.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sextant {
namespace {

using testing::HasSubstr;
using testing::Not;

/// One GEMM 10 % short within its interval, and a copy that nothing predicts.
Validation example() {
  Comparison gemm;
  gemm.file = "a.jsonl";
  gemm.line = 3;
  gemm.kind = "gemm";
  gemm.gpu = "h100-sxm";
  gemm.part = "bf16";
  gemm.shape = "bf16 m 1, n 2";
  gemm.quantity = "us";
  gemm.measured = 100;
  gemm.outcome = Prediction{90, PredictedInterval{80, 120}, Grade::fitted, true};
  Comparison copy = gemm;
  copy.kind = "copy";
  copy.line = 4;
  copy.outcome = NotPredicted{"nothing \"copies\""};
  Validation validation;
  validation.files = {"a.jsonl"};
  validation.comparisons = {gemm, copy};
  validation.groups = summarise(validation.comparisons);
  return validation;
}

TEST(ValidationText, ShowsErrorsReasonsAndTheFurthestOff) {
  const std::string text = validation_text(example(), {});
  EXPECT_THAT(text, HasSubstr("gemm  h100-sxm     1              10.0  10.0   10.0  -10.0     100 %"));
  EXPECT_THAT(text, HasSubstr("copy  h100-sxm     1         1"));
  EXPECT_THAT(text, HasSubstr("1 x copy: nothing \"copies\""));
  EXPECT_THAT(text, HasSubstr("a.jsonl:3"));
  EXPECT_THAT(text, HasSubstr("asked for outside a fitted range: 1 predictions"));
  EXPECT_THAT(text, Not(HasSubstr("Bounds")));
}

TEST(ValidationText, ShowsBounds) {
  EXPECT_THAT(validation_text(example(), {read_error_bound("gemm:median=11")}), HasSubstr("all hold"));
  EXPECT_THAT(validation_text(example(), {read_error_bound("gemm:median=9")}),
              HasSubstr("missed gemm:median=9: 10.00 % on h100-sxm"));
}

TEST(ValidationJson, HasGroupsBoundsAndValues) {
  const auto json = nlohmann::json::parse(validation_json(example(), {read_error_bound("gemm:median=9")}));
  EXPECT_EQ(json["format"], "sextant validation");
  EXPECT_EQ(json["groups"][0]["kind"], "gemm");
  EXPECT_NEAR(json["groups"][0]["bias_percent"].get<double>(), -10, 1e-9);
  EXPECT_EQ(json["groups"][0]["within_interval"], 1);
  EXPECT_EQ(json["bounds"]["missed"].size(), 1u);
  EXPECT_EQ(json["values"][0]["predicted"], 90.0);
  EXPECT_EQ(json["values"][0]["hi90"], 120.0);
  EXPECT_EQ(json["values"][0]["extrapolated"], true);
  EXPECT_EQ(json["values"][1]["not_predicted"], "nothing \"copies\"");
  EXPECT_FALSE(json["values"][1].contains("predicted"));
}

TEST(ValidationCsv, HasOneRowPerValue) {
  EXPECT_EQ(
      validation_csv(example()),
      "file,line,kind,gpu,part,shape,quantity,measured,predicted,error_percent,lo90,hi90,grade,extrapolated,"
      "not_predicted\n"
      "a.jsonl,3,gemm,h100-sxm,bf16,\"bf16 m 1, n 2\",us,100,90,-9.999999999999998,80,120,fitted,true,\n"
      "a.jsonl,4,copy,h100-sxm,bf16,\"bf16 m 1, n 2\",us,100,,,,,,,\"nothing \"\"copies\"\"\"\n");
}

}  // namespace
}  // namespace sextant
