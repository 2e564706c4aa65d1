#include "sim/scenario/search_choices.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

Scenario read(const std::string& more, const std::string& model = R"({"name": "llama-3.1-8b"})",
              const std::string& load = R"("request_rate": 1)") {
  return read_scenario(JsonValue::parse(
      R"({"name": "t", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 1}}]}, "model": )" + model +
          R"(, "deployment": "search", "workload": {)" + load +
          R"(, "num_prompts": 10, "prompt": {"fixed": 10}, "output": {"fixed": 10}})" + more + "}",
      "t.json"));
}

/// The message of a scenario that is refused.
std::string refusal(const std::string& more, const std::string& model = R"({"name": "llama-3.1-8b"})",
                    const std::string& load = R"("request_rate": 1)") {
  try {
    read(more, model, load);
  } catch (const InputError& error) {
    return error.what();
  }
  return "(read)";
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// 2 formats x 2 caches x 2 budgets of tokens.
TEST(SearchChoices, EveryCombinationIsAChoice) {
  const Scenario s =
      read(R"(, "search": {"objective": "energy", "weights": ["bf16", "fp8"], "kv": ["bf16", "fp8"],
                                  "engine": {"max_num_batched_tokens": [2048, 8192]}})");
  EXPECT_EQ(s.search.objective, Objective::energy);
  ASSERT_EQ(s.search.choices.size(), 8U);
  EXPECT_EQ(s.search.choices[1].name, "weights bf16, kv bf16, max_num_batched_tokens 8192");
  EXPECT_EQ(s.search.choices[7].model.weights.name, "fp8");
  EXPECT_EQ(s.search.choices[7].model.kv.name, "fp8");
  EXPECT_EQ(s.search.choices[7].engine.max_num_batched_tokens, 8192);
}

// 512 tokens with 1,024 sequences is what vLLM refuses: one of four combinations is told with its reason.
TEST(SearchChoices, ACombinationNoEngineTakesIsKeptWithItsReason) {
  const Scenario s =
      read(R"(, "search": {"engine": {"max_num_batched_tokens": [512, 8192], "max_num_seqs": [256, 1024]}})");
  EXPECT_EQ(s.search.choices.size(), 3U);
  ASSERT_EQ(s.search.refused.size(), 1U);
  EXPECT_EQ(s.search.refused[0].name, "max_num_batched_tokens 512, max_num_seqs 1024");
  EXPECT_TRUE(has(s.search.refused[0].reason, "expected at least max_num_seqs"))
      << s.search.refused[0].reason;
}

TEST(SearchChoices, BadInputNamesItsPlace) {
  EXPECT_TRUE(has(refusal(R"(, "search": {"objectiv": "cost"})"), "objective"));
  EXPECT_TRUE(has(refusal(R"(, "search": {"objective": "speed"})"), "search.objective"));
  EXPECT_TRUE(has(refusal(R"(, "search": {"weights": []})"), "search.weights: found an empty list"));
  EXPECT_TRUE(
      has(refusal(R"(, "search": {"weights": ["fp8", "fp8"]})"), "search.weights[1]: found \"fp8\" twice"));
  const std::string unknown = refusal(R"(, "search": {"weights": ["bf16", "fp9"]})");
  EXPECT_TRUE(has(unknown, "search.weights[1]: found \"fp9\", which no combination allows")) << unknown;
  const std::string option = refusal(R"(, "search": {"engine": {"max_num_seq": [4, 8]}})");
  EXPECT_TRUE(has(option, "search.engine.max_num_seq[0]") && has(option, "max_num_seqs")) << option;
  EXPECT_TRUE(
      has(refusal(R"(, "search": {"weights": ["fp8"]})", R"({"name": "llama-3.1-8b", "weights": "bf16"})"),
          "search.weights: found a list beside model.weights"));
  EXPECT_TRUE(has(refusal(R"(, "search": {"objective": "cost"})"), "expected what it costs"));
}

TEST(HighestLoad, NeedsAnSloThatLoadCanBreak) {
  const std::string highest = R"("request_rate": "highest")";
  EXPECT_TRUE(has(refusal("", R"({"name": "llama-3.1-8b"})", highest), "without bounds in \"slo\""));
  EXPECT_TRUE(has(refusal(R"(, "slo": {"output_throughput": ">=5"})", R"({"name": "llama-3.1-8b"})", highest),
                  "a >= bound on output_throughput"));
  const Scenario s = read(R"(, "slo": {"p99_ttft_ms": "<=2000"})", R"({"name": "llama-3.1-8b"})", highest);
  EXPECT_TRUE(s.workload.find_highest);
  EXPECT_EQ(s.workload.arrival, Workload::Arrival::poisson);
  EXPECT_TRUE(has(refusal("", R"({"name": "llama-3.1-8b"})", R"("request_rate": "hihgest")"), "inf"));
}

TEST(Contradictions, BoundsThatExcludeEachOtherAreRefused) {
  const std::string mean = refusal(R"(, "slo": {"p99_tpot_ms": "<=10", "mean_tpot_ms": ">=50"})");
  EXPECT_TRUE(has(mean, "found mean_tpot_ms >=50 and p99_tpot_ms <=10, which exclude each other")) << mean;
  const std::string both = refusal(R"(, "slo": {"p99_ttft_ms": [">=20", "<=10"]})");
  EXPECT_TRUE(has(both, "found p99_ttft_ms >=20 and p99_ttft_ms <=10")) << both;
  EXPECT_TRUE(
      has(refusal(R"(, "slo": {"median_ttft_ms": ">=300", "median_e2el_ms": "<=200"})"), "first token"));
  EXPECT_TRUE(has(refusal(R"(, "slo": {"goodput_fraction": ">=2"})"), "at most 1"));
  // Different quantities, or bounds that leave room, are a wish like any other.
  EXPECT_EQ(
      refusal(R"(, "slo": {"p99_ttft_ms": [">=5", "<=10"], "p99_tpot_ms": "<=3", "mean_tpot_ms": ">=1"})"),
      "(read)");
}

}  // namespace
}  // namespace sextant
