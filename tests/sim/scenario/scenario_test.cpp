#include "sim/scenario/scenario.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant {
namespace {

const char* minimal = R"({
  "name": "minimal",
  "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}}]},
  "model": {"name": "llama-3.1-8b"},
  "deployment": {"tp": 2, "dp": 2},
  "workload": {"request_rate": 4, "num_prompts": 10, "prompt": {"fixed": 100}, "output": {"fixed": 10}}
})";

JsonValue document() {
  return JsonValue::parse(minimal, "minimal.json");
}

Scenario changed(const std::string& path, const std::string& value) {
  return read_scenario(with_changes(document(), {{path, value}}));
}

Scenario changed_twice(const std::string& path, const std::string& value, const std::string& other_path,
                       const std::string& other_value) {
  return read_scenario(with_changes(document(), {{path, value}, {other_path, other_value}}));
}

/// The message of the InputError that reading the changed scenario throws; "" if it throws none.
std::string refusal(const std::string& path, const std::string& value) {
  try {
    changed(path, value);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(Scenario, ReadsTheMinimalOne) {
  const Scenario s = read_scenario(document());
  EXPECT_EQ(s.name, "minimal");
  EXPECT_EQ(s.cluster.gpus().size(), 4u);
  EXPECT_EQ(s.deployment->tp, 2);
  EXPECT_EQ(s.deployment->pp, 1);
  EXPECT_EQ(s.model.weights.name, "bf16");
  EXPECT_EQ(s.engine.max_model_len, 131072) << "the model's own limit";
}

TEST(Scenario, ChangesOneValue) {
  EXPECT_EQ(changed("workload.request_rate", "7.5").workload.request_rate, 7.5);
  EXPECT_EQ(changed("cluster.nodes[0].gpus", R"({"h200-sxm": 8})").cluster.gpus().size(), 8u);
  EXPECT_EQ(changed("cluster.nodes[*].name", "left").cluster.nodes[0].name, "left")
      << "a bare word is a string";
  EXPECT_FALSE(changed("deployment", "search").deployment.has_value());
}

// A part that the scenario leaves out can be given value by value.
TEST(Scenario, ChangeBeginsAPartThatIsNotThere) {
  const Scenario s = changed_twice("slo.p99_ttft_ms", "<=500", "slo.p99_tpot_ms", "<=50");
  ASSERT_EQ(s.slo.size(), 2u);
  EXPECT_EQ(s.slo[0].bound + s.slo[1].bound, 550);
  EXPECT_TRUE(refusal("fleet.size", "3").starts_with("minimal.json: found the unknown key 'fleet'"))
      << refusal("fleet.size", "3");
}

TEST(Scenario, ChangeToAnUnknownPathNamesTheNearest) {
  EXPECT_EQ(refusal("variants[0].name", "x"),
            "--set variants[0].name: found no key 'variants', expected a list there");
  EXPECT_EQ(refusal("worklaod.request_rate", "1"),
            "--set worklaod.request_rate: found no key 'worklaod', did you mean 'workload'");
  EXPECT_EQ(refusal("cluster.nodes[3].nic", "x"),
            "--set cluster.nodes[3].nic: found the index 3, expected less than 1");
  EXPECT_EQ(refusal("cluster.nodes[x]", "x"),
            "--set cluster.nodes[x]: found a malformed index, expected [0], [1], ... or [*]");
}

// vLLM's --enable-expert-parallel divides the experts among the whole tensor-parallel group.
TEST(Scenario, ExpertParallelIsADegreeOrASwitch) {
  EXPECT_EQ(read_scenario(document()).deployment->ep, 1);
  EXPECT_EQ(changed("deployment.ep", "2").deployment->ep, 2);
  EXPECT_EQ(changed("deployment.ep", "1").deployment->ep, 1);
  EXPECT_EQ(changed("deployment.enable_expert_parallel", "true").deployment->ep, 2);
  EXPECT_EQ(changed("deployment.enable_expert_parallel", "false").deployment->ep, 1);
  EXPECT_EQ(refusal("deployment", R"({"tp": 4, "ep": 2})"),
            "minimal.json: deployment.ep: found 2, expected 1, tp, which is 4, or (experts shared by "
            "data-parallel attention) a multiple of tp that divides tp x dp, which is 4");
  EXPECT_EQ(refusal("deployment.ep", "8"),
            "minimal.json: deployment.ep: found 8, expected 1, tp, which is 2, or (experts shared by "
            "data-parallel attention) a multiple of tp that divides tp x dp, which is 4");
  EXPECT_EQ(changed("deployment", R"({"tp": 2, "dp": 2, "ep": 4})").deployment->ep, 4);
  EXPECT_EQ(refusal("deployment", R"({"tp": 2, "ep": 2, "enable_expert_parallel": false})"),
            "minimal.json: deployment.enable_expert_parallel: found false, expected what ep 2 says");
}

TEST(Scenario, MisspeltKeysAndBadValuesNameThePath) {
  EXPECT_EQ(refusal("workload.request_rat", "4"),
            "minimal.json: workload: found the unknown key 'request_rat', did you mean 'request_rate'");
  EXPECT_EQ(refusal("deployment.tp", "-2"),
            "minimal.json: deployment.tp: found -2, expected a whole number from 1 to 1000000");
  EXPECT_EQ(refusal("deployment", "serch"),
            "minimal.json: deployment: found \"serch\", expected \"search\" or an object with tp, pp and dp");
  EXPECT_EQ(refusal("deployment.layers", "[16]"), "")
      << "one stage, one count: the sum is checked against the model later";
  EXPECT_EQ(refusal("deployment.layers", "[16, 16]"),
            "minimal.json: deployment.layers: found 2 stages, expected pp, which is 1");
  EXPECT_EQ(refusal("deployment.placement", R"(["a"])"),
            "minimal.json: deployment.placement: found 1 GPUs, expected tp x pp x dp, which is 4");
  EXPECT_NE(refusal("model.name", "llama-3.1-8").find("llama-3.1-8b"), std::string::npos);
  EXPECT_NE(refusal("model.weights", "awq").find("awq-int4"), std::string::npos);
}

TEST(Scenario, KvThatLeavesTheGpuTakesOneGroupOfBlocks) {
  EXPECT_FALSE(changed("engine", "{}").engine.disable_hybrid_kv_cache_manager);
  EXPECT_TRUE(changed("engine", R"({"disable_hybrid_kv_cache_manager": true})")
                  .engine.disable_hybrid_kv_cache_manager);
  EXPECT_TRUE(changed("engine", R"({"kv_offloading_size": 8})").engine.disable_hybrid_kv_cache_manager);
  EXPECT_EQ(refusal("engine", R"({"kv_offloading_size": 8, "disable_hybrid_kv_cache_manager": false})"),
            "minimal.json: engine.disable_hybrid_kv_cache_manager: found false with kv_offloading_size, "
            "expected true: vLLM's connectors take one group of blocks");
}

TEST(Scenario, AQuantisedModelComesInItsOwnFormat) {
  EXPECT_EQ(changed("model.name", "gpt-oss-120b").model.weights.name, "mxfp4");
  EXPECT_EQ(changed("model", R"({"name": "gpt-oss-120b", "weights": "mxfp4"})").model.weights.name, "mxfp4");
  EXPECT_EQ(
      refusal("model", R"({"name": "llama-4-scout-17b-16e-fp8", "weights": "fp8"})"),
      "minimal.json: model.weights: found \"fp8\", expected \"fp8-dynamic\" (or nothing), as the model's "
      "quantization_config says");
}

TEST(Scenario, ServiceLevels) {
  const Scenario s =
      changed("slo", R"({"p99_ttft_ms": "<=2000", "output_throughput": ">=50", "goodput": {"tpot_ms": 50}})");
  ASSERT_EQ(s.slo.size(), 2u);
  EXPECT_EQ(s.slo[0].metric, "output_throughput");
  EXPECT_FALSE(s.slo[0].at_most);
  EXPECT_EQ(s.slo[1].bound, 2000);
  EXPECT_EQ(s.goodput.tpot_ms, 50);
  const Scenario as_vllm = changed("slo", R"({"goodput": "ttft:200 tpot:50.5"})");
  EXPECT_EQ(as_vllm.goodput.ttft_ms, 200);
  EXPECT_EQ(as_vllm.goodput.tpot_ms, 50.5);
  EXPECT_EQ(as_vllm.goodput.e2el_ms, 0);
  for (const char* wrong :
       {"ttft", "ttft:", "ttft:2s", "ttft:200,tpot:50", "itl:5", "ttft:1 ttft:2", "ttft:-1", ""})
    EXPECT_NE(refusal("slo", fmt::format(R"({{"goodput": "{}"}})", wrong)), "") << wrong;
  EXPECT_EQ(refusal("slo", R"({"p99_ttft_ms": 2000})"),
            "minimal.json: slo.p99_ttft_ms: found no bound, expected text such as \"<=2000\" or \">=10\"");
  EXPECT_EQ(
      refusal("slo", R"({"p99_tttf_ms": "<=1"})"),
      "minimal.json: slo.p99_tttf_ms: found the unknown metric 'p99_tttf_ms', did you mean 'p99_ttft_ms'");
  EXPECT_EQ(refusal("slo", R"({"p99_ttft_ms": "2000"})"),
            "minimal.json: slo.p99_ttft_ms: found \"2000\", expected a bound such as \"<=2000\" or \">=10\"");
}

// 1e400 is beyond a double (1.8e308): refused, not read as 0. "inf", "nan" and "" are no bounds either way.
TEST(Scenario, ServiceLevelBeyondADoubleIsRefused) {
  EXPECT_EQ(
      refusal("slo", R"({"p99_ttft_ms": "<=1e400"})"),
      "minimal.json: slo.p99_ttft_ms: found \"<=1e400\", expected a bound such as \"<=2000\" or \">=10\"");
  EXPECT_NE(refusal("slo", R"({"p99_ttft_ms": "<=1e-400"})"), "");
  EXPECT_NE(refusal("slo", R"({"p99_ttft_ms": "<=nan"})"), "");
  EXPECT_NE(refusal("slo", R"({"p99_ttft_ms": "<="})"), "");
  EXPECT_EQ(refusal("slo", R"({"p99_ttft_ms": "<=1e300"})"), "");
}

// 87,660 h = 10 years: 100,000 USD over 10 years at full use is 1.1408 USD/h; 1 kW at 0.30 adds 0.30.
TEST(Scenario, EconomicsPerHour) {
  const Economics e{100000, 10, 1000, 0.3, 1};
  EXPECT_NEAR(e.usd_per_hour(), 100000.0 / 87660 + 0.3, 1e-9);
}

// vLLM v0.19's get_batch_defaults for its API server: 8192 and 1024 from 70 GiB on, but not on A100 (80 GB);
// else 2048 and 256. An L40S has 48 GB. Mixed: the smaller. A limit that is given stays; 512 tokens allow no
// more than 512 default sequences.
TEST(Scenario, BatchLimitsFollowTheCard) {
  const auto engine = [](const std::string& gpus, const std::string& options) {
    return changed_twice("cluster.nodes[0]", R"({"node": "server-pcie", "gpus": )" + gpus + "}", "engine",
                         options)
        .engine;
  };
  const EngineOptions h200 = read_scenario(document()).engine;
  EXPECT_EQ(h200.max_num_batched_tokens, 8192);
  EXPECT_EQ(h200.max_num_seqs, 1024);
  EXPECT_EQ(h200.batch_defaults, "defaults of vllm-0.19 for GPUs of 70 GiB or more");
  const EngineOptions a100 = changed("cluster.nodes[0].gpus", R"({"a100-sxm": 4})").engine;
  EXPECT_EQ(a100.max_num_batched_tokens, 2048);
  EXPECT_EQ(a100.max_num_seqs, 256);
  EXPECT_EQ(a100.batch_defaults, "defaults of vllm-0.19: a100-sxm is named a100");
  EXPECT_EQ(engine(R"({"l40s": 4})", "{}").max_num_batched_tokens, 2048);
  EXPECT_NE(engine(R"({"l40s": 4})", "{}").batch_defaults.find("under 70"), std::string::npos);
  EXPECT_EQ(engine(R"({"rtx-pro-6000-server": 2, "l40s": 2})", "{}").max_num_seqs, 256);
  EXPECT_EQ(engine(R"({"rtx-pro-6000-server": 4})", "{}").max_num_seqs, 1024);
  const EngineOptions given = changed("engine", R"({"max_num_batched_tokens": 512})").engine;
  EXPECT_EQ(given.max_num_batched_tokens, 512);
  EXPECT_EQ(given.max_num_seqs, 512);
  EXPECT_EQ(changed("engine", R"({"max_num_batched_tokens": 512, "max_num_seqs": 8})").engine.batch_defaults,
            "");
}

TEST(Scenario, EngineLimits) {
  EXPECT_EQ(
      refusal("engine", R"({"max_num_seqs": 512, "max_num_batched_tokens": 256})"),
      "minimal.json: engine: found max_num_batched_tokens 256, expected at least max_num_seqs, which is 512");
  EXPECT_EQ(
      refusal("engine", R"({"max_model_len": 200000})"),
      "minimal.json: engine: found max_model_len 200000, expected at most 131072, the model's own limit");
  EXPECT_EQ(refusal("engine", R"({"enable_chunked_prefill": false, "max_model_len": 9000})"),
            "minimal.json: engine: found max_num_batched_tokens 8192 without chunked prefill, expected at "
            "least max_model_len, "
            "which is 9000");
  EXPECT_NE(refusal("engine", R"({"profile": "vlm-0.19"})").find("vllm-0.19"), std::string::npos);
}

}  // namespace
}  // namespace sextant
