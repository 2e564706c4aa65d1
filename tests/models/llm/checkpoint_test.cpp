#include <fmt/core.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"

namespace sextant {
namespace {

std::string config(const std::string& family, const std::string& more) {
  return fmt::format(
      R"({{"architectures": ["{}"], "hidden_size": 64, "vocab_size": 100, "num_hidden_layers": 4,
      "max_position_embeddings": 2048, "num_attention_heads": 8, "intermediate_size": 128{}}})",
      family, more);
}

Architecture from(const std::string& family, const std::string& more) {
  return read_architecture(JsonValue::parse(config(family, more), "config.json"), "test");
}

std::string refusal(const std::string& family, const std::string& more) {
  try {
    from(family, more);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string compressed(const std::string& scheme) {
  return R"(, "quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0":
      {"weights": {"num_bits": 8, "type": "float", "strategy": "channel"}}}, "kv_cache_scheme": )" +
         scheme + "}";
}

std::string optimized(const std::string& keys) {
  return R"(, "quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8", )" + keys + "}";
}

// vLLM's kv_cache_dtype auto: what the checkpoint says, which of compressed-tensors no option undoes.
TEST(CheckpointCache, IsFp8WhereTheFileSaysSo) {
  const auto of = [](const std::string& more) { return *from("LlamaForCausalLM", more).quantisation; };
  const Quantisation scheme = of(compressed(R"({"num_bits": 8, "type": "float", "strategy": "tensor"})"));
  EXPECT_EQ(scheme.kv, "fp8");
  EXPECT_TRUE(scheme.kv_fixed);
  EXPECT_EQ(of(compressed("null")).kv, "");
  const Quantisation optimizer = of(optimized(R"("kv_cache_quant_algo": "FP8")"));
  EXPECT_EQ(optimizer.kv, "fp8");
  EXPECT_FALSE(optimizer.kv_fixed);
  EXPECT_EQ(of(optimized(R"("kv_cache_scheme": {"dynamic": false, "num_bits": 8, "type": "float"})")).kv,
            "fp8");
  EXPECT_EQ(of(optimized(R"("kv_cache_quant_algo": null)")).kv, "");
}

TEST(CheckpointCache, RefusesOtherFormats) {
  const std::string where = "config.json: quantization_config.";
  EXPECT_EQ(refusal("LlamaForCausalLM", compressed(R"({"num_bits": 8, "type": "int"})")),
            where +
                "kv_cache_scheme: found 8-bit int with scales per tensor, expected 8-bit float per tensor "
                "or attn_head");
  EXPECT_EQ(
      refusal("LlamaForCausalLM", compressed(R"({"num_bits": 8, "type": "float", "strategy": "channel"})")),
      where +
          "kv_cache_scheme: found 8-bit float with scales per channel, expected 8-bit float per "
          "tensor or attn_head");
  EXPECT_EQ(refusal("LlamaForCausalLM", compressed(R"({"num_bits": 8, "type": "float", "dynamic": true})")),
            where + "kv_cache_scheme.dynamic: found true, expected false");
  EXPECT_EQ(refusal("LlamaForCausalLM", optimized(R"("kv_cache_quant_algo": "INT8")")),
            where + "kv_cache_quant_algo: found \"INT8\", expected \"FP8\" or none");
}

// Model Optimizer before 0.31 wrote a file of its own beside a config.json that says nothing.
TEST(CheckpointCache, ReadsTheFileBeside) {
  const auto folder = std::filesystem::temp_directory_path() / fmt::format("sextant-checkpoint-{}", getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "config.json") << config("LlamaForCausalLM", "");
  std::ofstream(folder / "hf_quant_config.json") << R"({"producer": {"name": "modelopt"}, "quantization":
      {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}})";
  const auto read = find_model((folder / "config.json").string()).architecture.quantisation;
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->format, "nvfp4");
  EXPECT_EQ(read->kv, "fp8");
}

// Families that engines draft with their own layers of say how many; a file that does not is not refused,
// except of Nemotron H, which vLLM takes for one without.
TEST(PredictionLayers, AreWhatTheFileSays) {
  EXPECT_EQ(find_model("llama-3.1-8b").architecture.prediction_layers, 0);
  EXPECT_EQ(find_model("kimi-k2").architecture.prediction_layers, 0);
  EXPECT_EQ(find_model("deepseek-v3").architecture.prediction_layers, std::nullopt);
  EXPECT_EQ(find_model("nemotron-3-super-120b-a12b").architecture.prediction_layers, 1);
  EXPECT_EQ(find_model("nemotron-3-nano-30b-a3b").architecture.prediction_layers, 0);
}

// Four layers are numbered from 0 to 3.
TEST(DenseLayers, AreOfTheModel) {
  EXPECT_EQ(refusal("Qwen3MoeForCausalLM", R"(, "num_experts": 8, "num_experts_per_tok": 2,
      "moe_intermediate_size": 32, "mlp_only_layers": [4])"),
            "config.json: mlp_only_layers[0]: found 4, expected a whole number from 0 to 3");
}

}  // namespace
}  // namespace sextant
