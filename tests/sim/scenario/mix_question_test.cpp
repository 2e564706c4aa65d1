#include "sim/scenario/mix_question.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

const std::string first = R"({"name": "llama-3.1-8b"})", second = R"({"name": "qwen3-32b"})";
const std::string workload =
    R"("workload": {"request_rate": 2, "num_prompts": 10, "prompt": {"fixed": 100}, "output": {"fixed": 10}})";
const std::string slo = R"("slo": {"p99_tpot_ms": "<=50"})";

JsonValue page(const std::string& models, const std::string& rest = workload + ", " + slo) {
  return JsonValue::parse(R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 2}}]},
      "models": [)" + models + R"(], "deployment": "search", )" +
                              rest + "}",
                          "t.json");
}

std::string refusal(const JsonValue& document) {
  try {
    read_mix_question(document);
  } catch (const InputError& error) {
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << "one line";
    return error.what();
  }
  return "accepted";
}

TEST(MixQuestion, AModelTakesWhatItSaysAndElseThePages) {
  const std::string own =
      R"({"name": "qwen3-32b", "weights": "fp8", "slo": {"p99_ttft_ms": "<=900"}, "workload": {
      "max_concurrency": 6, "num_prompts": 20, "prompt": {"fixed": 50}, "output": {"fixed": 5}}})";
  const MixQuestion question = read_mix_question(page(first + "," + own));
  ASSERT_EQ(question.models.size(), 2U);
  EXPECT_EQ(question.models[0].scenario.name, "t: llama-3.1-8b");
  EXPECT_EQ(question.models[0].load, 2);
  EXPECT_FALSE(question.models[0].closed);
  EXPECT_EQ(question.models[0].scenario.slo.front().metric, "p99_tpot_ms");
  EXPECT_EQ(question.models[1].load, 6);
  EXPECT_TRUE(question.models[1].closed);
  EXPECT_EQ(question.models[1].scenario.model.weights.name, "fp8");
  EXPECT_EQ(question.models[1].scenario.slo.front().metric, "p99_ttft_ms");
  EXPECT_TRUE(question.models[1].growing.workload.find_highest);
  EXPECT_FALSE(question.models[1].scenario.workload.find_highest);
}

TEST(MixQuestion, NeedsSeveralDifferentModelsAndAGpuForEach) {
  EXPECT_EQ(refusal(page("")),
            "t.json: models: found no model, expected at least two: one alone is the page's \"model\"");
  EXPECT_EQ(refusal(page(first)),
            "t.json: models: found one model, expected at least two: one alone is the page's \"model\"");
  EXPECT_EQ(refusal(page(first + "," + first)),
            "t.json: models[1].name: found \"llama-3.1-8b\" twice, expected each model once: its load is one "
            "number");
  EXPECT_EQ(refusal(page(first + "," + second + R"(,{"name": "llama-3.1-70b"})")),
            "t.json: models: found 3 models, expected at most 2, as many as the cluster has GPUs");
  EXPECT_NE(
      refusal(page(first + "," + second, R"("model": {"name": "llama-3.1-8b"}, )" + workload + ", " + slo))
          .find("t.json: model: found 'model' beside 'models'"),
      std::string::npos);
}

// What stands wrong in a model is said where the page has it, not where its own scenario would.
TEST(MixQuestion, ErrorsNameTheModelOfThePage) {
  EXPECT_TRUE(refusal(page(first + R"(,{"name": "qwen3-32c"})")).starts_with("t.json: models[1].name: "));
  EXPECT_EQ(refusal(page(first + R"(,{"name": "qwen3-32b", "worklod": {}})")),
            "t.json: models[1]: found the unknown key 'worklod', did you mean 'workload'");
  EXPECT_TRUE(
      refusal(page(first + R"(,{"name": "qwen3-32b", "wights": "fp8"})")).starts_with("t.json: models[1]"));
  EXPECT_TRUE(refusal(page(R"({"name": "llama-3.1-8b", "workload": {"request_rat": 1}},)" + second))
                  .starts_with("t.json: models[0].workload"));
  EXPECT_TRUE(refusal(page(first + "," + second, workload + R"(, "slo": {"p99_tpot": "<=50"})"))
                  .starts_with("t.json: slo"));
  EXPECT_TRUE(refusal(page(first + "," + second, slo)).starts_with("t.json: models[0]: found no workload"));
}

// By how much loads can grow within the SLOs divides the GPUs: both must be there, and be one number.
TEST(MixQuestion, NeedsLoadsThatCanGrowWithinAnSlo) {
  const auto with = [&](const std::string& load) {
    return refusal(page(first + "," + second, R"("workload": {)" + load +
                                                  R"("num_prompts": 10, "prompt": {"fixed": 100},
      "output": {"fixed": 10}}, )" + slo));
  };
  EXPECT_EQ(with(R"("request_rate": 2, )"), "accepted");
  EXPECT_NE(
      with(R"("request_rate": "inf", )").find("t.json: workload: found requests that arrive all at once"),
      std::string::npos);
  EXPECT_NE(with(R"("request_rate": "highest", )").find("found \"highest\""), std::string::npos);
  EXPECT_NE(refusal(page(first + "," + second, workload)).find("found no slo for llama-3.1-8b"),
            std::string::npos);
  EXPECT_NE(refusal(page(first + "," + second, workload + R"(, "slo": {"output_throughput": ">=5"})"))
                .find("t.json: slo: found a >= bound on output_throughput"),
            std::string::npos);
}

TEST(MixQuestion, RefusesWhatAMixDoesNotHave) {
  for (const char* key : {"variants", "economics", "faults", "uplink"})
    EXPECT_TRUE(refusal(page(first + "," + second, workload + ", " + slo + ", \"" + key + "\": []"))
                    .starts_with("t.json: " + std::string(key) + ": found '" + key +
                                 "' on a page with several models"));
  EXPECT_NE(
      refusal(page(first + "," + second, workload + ", " + slo + R"(, "search": {"objective": "energy"})"))
          .find("t.json: search: found the objective energy"),
      std::string::npos);
  EXPECT_NE(
      refusal(page(first + "," + second, workload + ", " + slo + R"(, "search": {"disaggregation": [true]})"))
          .find("found disaggregation"),
      std::string::npos);
}

TEST(MixQuestion, OtherCommandsSayThatPlanAloneAnswers) {
  const JsonValue document = page(first + "," + second);
  EXPECT_TRUE(asks_for_mix(document));
  try {
    read_scenario(document);
    FAIL();
  } catch (const InputError& error) {
    EXPECT_STREQ(
        error.what(),
        "t.json: models: found several models on one cluster, expected 'model': a mix of models is planned "
        "by 'sextant plan' alone");
  }
}

}  // namespace
}  // namespace sextant
