#include "sim/validation/validate.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "models/base/text_file.hpp"
#include "models/profile/engine_profile.hpp"
#include "sim/validation/request_log.hpp"
#include "tests/sim/validation/message.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

/// A folder of its own for each test. The toy profile (100 TFLOP/s, 1000 GB/s, 5 us a kernel, intervals of
/// 0.8 to 1.25) stands for H100; links and engines are the test-only ones.
class Validate : public testing::Test {
 protected:
  Validate() {
    const testing::TestInfo* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(testing::TempDir()) / fmt::format("sextant-validate-{}", test->name());
    std::filesystem::create_directories(folder_);
    setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
    std::string toy = read_text_file(SEXTANT_SOURCE_DIR "/tests/fixtures/gpu.toy.json");
    toy.replace(toy.find("\"toy\""), 5, "\"h100-sxm\"");
    profile_ = write("gpu.h100-sxm.json", toy);
  }
  ~Validate() override {
    unsetenv("SEXTANT_PROFILES");
    std::filesystem::remove_all(folder_);
  }

  std::string write(const std::string& name, const std::string& text) const {
    const std::string path = (folder_ / name).string();
    write_text_file(path, text);
    return path;
  }
  Validation run(const std::string& lines) const {
    ValidationOptions options;
    options.profiles = {profile_};
    options.serving.intervals = false;
    return validate({write("rows.jsonl", lines)}, options);
  }
  std::string refusal(const std::string& lines) const {
    return message_of([&] { run(lines); });
  }

  std::filesystem::path folder_;
  std::string profile_;
};

const std::string source = R"(, "source": "test"})";
const std::string gemm =
    R"({"kind": "gemm", "gpu": "h100-sxm", "dtype": "bf16", "m": 1, "n": 1000, "k": 1000, "us": 10)" + source;

std::string step(const std::string& more) {
  return R"({"kind": "step", "gpu": "h100-sxm", "model": "llama-3.1-8b", "weights": "bf16", "kv": "bf16", "phase": "decode",
            "batch": 1, "context": 1023, )" +
         more + source;
}
/// One line of JSON from several.
std::string line(std::string text) {
  for (char& c : text)
    if (c == '\n') c = ' ';
  return text + "\n";
}

const Prediction& only(const Validation& validation) {
  EXPECT_EQ(validation.comparisons.size(), 1u);
  const Prediction* prediction = validation.comparisons.front().prediction();
  if (prediction == nullptr)
    throw std::runtime_error(std::get<NotPredicted>(validation.comparisons.front().outcome).why);
  return *prediction;
}

// 2 kB in, 2 MB of weights, 2 kB out at 1000 GB/s are 2.004 us, and 5 us of latency.
TEST_F(Validate, Gemm) {
  const Prediction prediction = only(run(gemm));
  EXPECT_NEAR(prediction.value, 7.004, 1e-9);
  EXPECT_NEAR(prediction.interval->low90, 0.8 * 7.004, 1e-9);
  EXPECT_NEAR(prediction.interval->high90, 1.25 * 7.004, 1e-9);
  EXPECT_EQ(prediction.grade, Grade::fitted);
}

TEST_F(Validate, HalfPrecisionCostsTheSameEitherWay) {
  std::string fp16 = gemm;
  fp16.replace(fp16.find("bf16"), 4, "fp16");
  EXPECT_NEAR(only(run(fp16)).value, 7.004, 1e-9);
}

// 8 sequences of 1,000 cached tokens, 8 KV heads of 128: 2 x 8 x 128 x 8000 x 2 B = 32.768 MB, and 2 x 8 x 32
// x 128 x 2 B = 131 kB of queries and outputs: 32.899 us, and 5.
TEST_F(Validate, AttentionDecode) {
  EXPECT_NEAR(
      only(
          run(R"({"kind": "attention_decode", "gpu": "h100-sxm", "heads": 32, "kv_heads": 8, "head_dim": 128, )"
              R"("batch": 8, "context": 1000, "dtype": "bf16", "kv_dtype": "bf16", "us": 40)" +
              source))
          .value,
      37.899072, 1e-6);
}

// rmsnorm reads and writes input and residual: 500 x 1000 x 8 B = 4 MB at full efficiency, 4 us and 5.
TEST_F(Validate, Elementwise) {
  const std::string row =
      R"({"kind": "elementwise", "gpu": "h100-sxm", "op": "rmsnorm", "tokens": 500, "width": 1000, "us": 9)";
  EXPECT_NEAR(only(run(row + source)).value, 9, 1e-9);
}

// By hand, microseconds: each of 32 layers GEMMs 55.352 + 38.571 + 239.947 + 122.477, attention over 1,024
// tokens 9.211, norms, rope and activation 2 x 5.066 + 5.041 + 5.172; embedding 5.033, last norm 5.066, head
// 1055.938, sampling 6.539 + 6.026. The toy's element-wise kernels reach half the rate below 1 MB.
constexpr double step_ms = 16.627453504;

TEST_F(Validate, StepIsTheSumOfItsOperators) {
  EXPECT_NEAR(only(run(line(step(R"("tp": 1, "pp": 1, "microbatches": 1, "ms": 17)")))).value, step_ms, 1e-6);
}

TEST_F(Validate, StepOfOneStageRepeatsForEveryMicrobatch) {
  EXPECT_NEAR(only(run(line(step(R"("tp": 1, "pp": 1, "microbatches": 3, "ms": 50)")))).value, 3 * step_ms,
              1e-5);
}

// Two stages of 16 layers: the second has the head and sets the pace, so 4 microbatches take four of its
// passes.
TEST_F(Validate, StepOfTwoStages) {
  const Validation validation =
      run(line(step(R"("tp": 1, "pp": 2, "microbatches": 4, "ms": 36, "stage_ms": [8, 9])")));
  ASSERT_EQ(validation.comparisons.size(), 3u);
  const double round = validation.comparisons[0].prediction()->value,
               first = validation.comparisons[1].prediction()->value,
               second = validation.comparisons[2].prediction()->value;
  EXPECT_NEAR(first + second, step_ms, 1e-6);
  EXPECT_NEAR(second - first, (5.065536 + 1055.937856 + 6.539072 + 6.026048 - 5.032768) / 1e3, 1e-6);
  EXPECT_NEAR(round, 4 * second, 1e-6);
  EXPECT_EQ(validation.comparisons[1].quantity, "stage_ms[0]");
  EXPECT_EQ(validation.groups.front().values, 1) << "stages stand in their own part";
}

// One microbatch goes through both stages and the hops between, and back.
TEST_F(Validate, OneMicrobatchPaysItsHops) {
  const double round = only(run(line(step(R"("tp": 1, "pp": 2, "microbatches": 1, "ms": 17)")))).value;
  EXPECT_GT(round, step_ms);
  EXPECT_LT(round, step_ms + 0.2);
}

// Everything is a gemm, attention or element-wise kernel of 0.8 to 1.25: GEMM alone (14.603 + 1.056 ms) moves
// it by +3.915 ms, attention (0.295 ms) and the rest (0.674 ms) by little; with the structural term of +12 %
// (1.995 ms) the upper end is sqrt(3.915^2 + 0.074^2 + 0.168^2 + 1.995^2) = 4.398 ms above.
TEST_F(Validate, StepIntervalAddsFamiliesInQuadrature) {
  const Prediction prediction = only(run(line(step(R"("tp": 1, "pp": 1, "microbatches": 1, "ms": 17)"))));
  EXPECT_NEAR(prediction.interval->high90 - prediction.value, 4.398, 2e-3);
}

TEST_F(Validate, StepWithAnEngineHasItsHostTime) {
  const double bare = only(run(line(step(R"("tp": 1, "pp": 1, "microbatches": 1, "ms": 17)")))).value;
  const double vllm =
      only(run(line(step(R"("tp": 1, "pp": 1, "microbatches": 1, "ms": 17, "engine": "vllm-0.19")")))).value;
  const double host_ms = [] {
    const EngineProfile engine = find_engine_profile("vllm-0.19");
    return (engine.step_us.value + engine.step_us_per_request.value) / 1e3;
  }();
  EXPECT_NEAR(vllm - bare, host_ms, 1e-6);
}

TEST_F(Validate, CountsWhatNothingPredictsWithItsReason) {
  const Validation validation = run(
      gemm + "\n" + R"({"kind": "copy", "gpu": "h100-sxm", "direction": "h2d", "bytes": 1000, "us": 5)" +
      source + "\n" + R"({"kind": "tcp", "streams": 8, "gbps": 198)" + source + "\n" +
      R"({"kind": "power", "gpu": "h100-sxm", "watts_limit": 300, "work": "gemm", "relative_speed": 0.8)" +
      source + "\n" + R"({"kind": "mamba", "gpu": "h100-sxm", "source": "test"})" + "\n" +
      R"({"kind": "collective", "gpu": "h100-sxm", "op": "all_reduce", "ranks": 2, "nodes": 2, "link": "roce", "bytes": 1, "us": 1)" +
      source + "\n" + line(step(R"("tp": 3, "pp": 1, "microbatches": 1, "ms": 17)")) +
      line(step(R"("tp": 8, "pp": 2, "microbatches": 1, "ms": 17)")) +
      R"({"kind": "overlap", "gpu": "h100-sxm", "op": "all_reduce", "ranks": 2, "nodes": 1, "link": "nvlink", "bytes": 1, )"
      R"("priority": "same", "dtype": "bf16", "m": 1, "n": 1, "k": 1, "collective_us_alone": 1, "collective_us_beside": 2, )"
      R"("gemm_us_alone": 1, "gemm_us_beside": 2)" +
      source + "\n" + R"({"kind": "context", "host": "not a row"})");
  std::vector<std::string> reasons;
  for (const Comparison& comparison : validation.comparisons)
    if (const auto* none = std::get_if<NotPredicted>(&comparison.outcome)) reasons.push_back(none->why);
  ASSERT_EQ(reasons.size(), 8u);
  EXPECT_THAT(reasons[0], HasSubstr("copies"));
  EXPECT_THAT(reasons[1], HasSubstr("TCP"));
  EXPECT_THAT(reasons[2], HasSubstr("power"));
  EXPECT_THAT(reasons[3], HasSubstr("mamba has no cost model"));
  EXPECT_THAT(reasons[4], HasSubstr("without rate_gbps"));
  EXPECT_THAT(reasons[5], HasSubstr("32 attention heads are not divisible by 3"));
  EXPECT_THAT(reasons[6], HasSubstr("found 16 GPUs, expected at most the 8 of one hgx node"));
  EXPECT_THAT(reasons[7], HasSubstr("side by side"));
}

TEST_F(Validate, BadRowsNameFileAndLine) {
  EXPECT_THAT(refusal(gemm + "\n\n{\"kind\": \"gem\"}"),
              AllOf(HasSubstr("rows.jsonl:3"), HasSubstr("did you mean 'gemm'")));
  EXPECT_THAT(refusal("nonsense"), HasSubstr("rows.jsonl:1"));
  EXPECT_THAT(refusal(line(step(R"("tp": 1, "pp": 2, "microbatches": 1, "ms": 17, "stage_ms": [1])"))),
              HasSubstr("rows.jsonl:1: stage_ms: found 1 times, expected one for each of the 2 stages"));
}

TEST_F(Validate, AFileWithoutRowsIsAnError) {
  EXPECT_THAT(refusal(""), HasSubstr("rows.jsonl: found no rows to predict, expected at least one"));
  EXPECT_THAT(refusal(R"({"kind": "context", "host": "a"})"), HasSubstr("found no rows"));
  EXPECT_THAT(message_of([] { validate({"missing.jsonl"}); }), HasSubstr("missing.jsonl"));
}

TEST_F(Validate, AProfileThatNoRowAsksForIsAnError) {
  std::string other = gemm;
  other.replace(other.find("h100-sxm"), 8, "h200-sxm");
  EXPECT_THAT(refusal(other), AllOf(HasSubstr("gpu.h100-sxm.json"), HasSubstr("of h100-sxm")));
  ValidationOptions twice;
  twice.profiles = {profile_, profile_};
  EXPECT_THAT(message_of([&] { validate({write("rows.jsonl", gemm)}, twice); }),
              HasSubstr("second profile of h100-sxm"));
}

const std::string scenario =
    R"({"name": "small", "cluster": {"nodes": [{"node": "hgx", "gpus": {"h100-sxm": 1}}]},
    "model": {"name": "llama-3.1-8b"}, "deployment": {"tp": 1}, "engine": {"profile": "bare"},
    "workload": {"request_rate": "inf", "num_prompts": 1, "prompt": {"fixed": 16}, "output": {"fixed": 2}}})";

std::string serving(const std::string& of, const std::string& measured) {
  return line(R"({"kind": "serving", "scenario": )" + of + R"(, "measured": )" + measured + source);
}

TEST_F(Validate, ServingRunsItsScenarioInlineOrBesideTheFile) {
  write("small.json", scenario);
  const std::string measured = R"({"mean_ttft_ms": 20, "total_kv_blocks": 28000})";
  const Validation validation = run(serving(scenario, measured) + serving("\"small.json\"", measured));
  ASSERT_EQ(validation.comparisons.size(), 4u);
  EXPECT_EQ(validation.comparisons[0].gpu, "h100-sxm");
  for (const std::size_t i : {0u, 1u})
    EXPECT_DOUBLE_EQ(validation.comparisons[i].prediction()->value,
                     validation.comparisons[i + 2].prediction()->value);
}

// A second decode step after the prompt's pass: its gap is one step at 17 cached tokens, which takes less
// than one at 1,024 by 32 layers x 1,007 tokens x 4096 B / 1000 GB/s = 0.132 ms.
TEST_F(Validate, ServingMetricsAreThoseOfTheSimulation) {
  const Validation validation = run(serving(scenario, R"({"mean_itl_ms": 16})"));
  EXPECT_NEAR(only(validation).value, step_ms - 0.132, 1e-3);
}

TEST_F(Validate, ServingNeedsKnownMetricsAndAFixedLayout) {
  EXPECT_THAT(refusal(serving(scenario, R"({"mean_tftt_ms": 20})")),
              AllOf(HasSubstr("rows.jsonl:1"),
                    HasSubstr("unknown metric 'mean_tftt_ms', did you mean 'mean_ttft_ms'")));
  std::string search = scenario;
  search.replace(search.find(R"({"tp": 1})"), 9, "\"search\"");
  EXPECT_THAT(refusal(serving(search, R"({"mean_ttft_ms": 20})")), HasSubstr("expected a fixed layout"));
  EXPECT_THAT(refusal(serving("\"missing.json\"", R"({"mean_ttft_ms": 20})")), HasSubstr("missing.json"));
}

TEST_F(Validate, ServingSaysWhatItCannotPredict) {
  const auto why = [&](const std::string& lines) {
    const Validation validation = run(gemm + "\n" + lines);
    const auto* none = std::get_if<NotPredicted>(&validation.comparisons.back().outcome);
    return none ? none->why : "predicted";
  };
  EXPECT_THAT(why(serving(scenario, R"({"p95_ttft_ms": 20})")), HasSubstr("p90 and p99"));
  std::string unknown = scenario;
  unknown.replace(unknown.find("llama-3.1-8b"), 12, "llama-9-scout");
  EXPECT_THAT(why(serving(unknown, R"({"mean_ttft_ms": 20})")), HasSubstr("found \"llama-9-scout\""));
  std::string large = scenario;
  large.replace(large.find("llama-3.1-8b"), 12, "llama-3.1-70b");
  EXPECT_THAT(why(serving(large, R"({"mean_ttft_ms": 20})")), HasSubstr("does not fit in memory"));
}

// TTFT 1 and 3 s, E2EL 2 and 6 s, TPOT (2 - 1) / 10 and (6 - 3) / 10 s; 22 tokens from 100 to 107 s.
TEST_F(Validate, RequestLogsBecomeMetrics) {
  const std::string log = write(
      "log.jsonl",
      R"({"request_id": "a", "input_toks": 5, "output_toks": 11, "queued_ts": 100, "first_token_ts": 101, "last_token_ts": 102})"
      "\n"
      R"({"request_id": "b", "input_toks": 5, "output_toks": 11, "queued_ts": 101, "first_token_ts": 104, "last_token_ts": 107})");
  std::map<std::string, double> metrics;
  for (const auto& [name, value] : request_log_metrics(log)) metrics[name] = value;
  EXPECT_NEAR(metrics.at("mean_ttft_ms"), 2000, 1e-6);
  EXPECT_NEAR(metrics.at("median_e2el_ms"), 4000, 1e-6);
  EXPECT_NEAR(metrics.at("p90_e2el_ms"), 5600, 1e-6);
  EXPECT_NEAR(metrics.at("mean_tpot_ms"), 200, 1e-6);
  EXPECT_NEAR(metrics.at("output_throughput"), 22 / 7.0, 1e-9);
  EXPECT_EQ(metrics.count("mean_itl_ms"), 0u) << "a log of first and last tokens holds no gaps";
  const Validation validation =
      run(line(R"({"kind": "requests", "path": "log.jsonl", "scenario": )" + scenario + source));
  EXPECT_EQ(validation.groups.front().kind, "requests");
  EXPECT_EQ(validation.groups.front().values, static_cast<std::int64_t>(metrics.size()));
}

TEST_F(Validate, BadRequestLogsNameFileAndLine) {
  const auto refused = [&](const std::string& text) {
    const std::string log = write("log.jsonl", text);
    return message_of([&] { request_log_metrics(log); });
  };
  EXPECT_THAT(refused(""), HasSubstr("log.jsonl: found no requests"));
  EXPECT_THAT(
      refused(
          R"({"input_toks": 5, "output_toks": 0, "queued_ts": 1, "first_token_ts": 2, "last_token_ts": 3})"),
      AllOf(HasSubstr("log.jsonl:1"), HasSubstr("output_toks: found 0")));
  EXPECT_THAT(
      refused(
          R"({"input_toks": 5, "output_toks": 1, "queued_ts": 2, "first_token_ts": 1, "last_token_ts": 3})"),
      HasSubstr("first_token_ts: found 1, expected it after queued_ts, 2"));
  EXPECT_THAT(refused(R"({"output_toks": 1})"), HasSubstr("log.jsonl:1"));
}

}  // namespace
}  // namespace sextant
