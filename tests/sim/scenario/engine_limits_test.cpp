#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

using Changes = std::vector<std::pair<std::string, std::string>>;

Scenario with(const Changes& changes) {
  const JsonValue document = JsonValue::parse(R"({
    "name": "limits",
    "cluster": {"nodes": [{"node": "hgx", "gpus": {"h200-sxm": 4}}]},
    "model": {"name": "llama-3.1-8b"}, "deployment": {"tp": 2}, "engine": {},
    "workload": {"request_rate": 4, "num_prompts": 10, "prompt": {"fixed": 100}, "output": {"fixed": 10}}})",
                                              "limits.json");
  return read_scenario(with_changes(document, changes));
}

std::string refusal(const Changes& changes) {
  try {
    with(changes);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::pair<std::string, std::string> speculation(const std::string& keys) {
  return {"engine.speculative_config",
          R"({"num_speculative_tokens": 2, "acceptance_rate": 0.5, )" + keys + "}"};
}

// vLLM: verify_equal_vocab_size_if_draft_model.
TEST(Speculation, TakesADraftOfTheSameVocabulary) {
  EXPECT_EQ(refusal({speculation(R"("method": "draft_model", "model": "qwen3-14b")")}),
            "limits.json: engine.speculative_config.model: found qwen3-14b with a vocabulary of 151936, "
            "expected that of llama-3.1-8b, which is 128256");
  EXPECT_EQ(refusal({speculation(R"("method": "draft_model", "model": "llama-3.1-8b")")}), "no error");
}

// Kimi K2 has DeepSeek's layers but none that predicts further tokens; a Llama never has.
TEST(Speculation, NeedsTheLayersItDraftsWith) {
  const auto mtp = speculation(R"("method": "mtp")");
  EXPECT_EQ(
      refusal({mtp}),
      "limits.json: engine.speculative_config.method: found mtp with llama-3.1-8b, expected a model with "
      "num_nextn_predict_layers above 0, or draft_model, eagle or ngram");
  EXPECT_NE(refusal({{"model.name", "kimi-k2"}, mtp}).find("found mtp with kimi-k2"), std::string::npos);
  EXPECT_EQ(refusal({{"model.name", "deepseek-v3"}, mtp}), "no error");
}

/// The path of a config.json whose checkpoint has an fp8 cache.
class Fp8Cache : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_);
    std::ofstream(path())
        << R"({"architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "vocab_size": 1000,
      "num_hidden_layers": 4, "max_position_embeddings": 2048, "num_attention_heads": 32,
      "intermediate_size": 1024, "quantization_config": {"quant_method": "compressed-tensors",
      "config_groups": {"group_0": {"weights": {"num_bits": 8, "type": "float", "strategy": "tensor"}}},
      "kv_cache_scheme": {"num_bits": 8, "type": "float", "strategy": "tensor"}}})";
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path() const { return (folder_ / "config.json").string(); }

 private:
  std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("sextant-fp8-cache-" + std::to_string(getpid()));
};

TEST_F(Fp8Cache, IsTheDefaultWhereTheCheckpointHasIt) {
  EXPECT_EQ(with({}).model.kv.name, "bf16");
  EXPECT_EQ(with({{"model.name", path()}}).model.kv.name, "fp8");
  EXPECT_EQ(with({{"model.name", path()}, {"model.kv", "fp8"}}).model.kv.name, "fp8");
  EXPECT_EQ(refusal({{"model.name", path()}, {"model.kv", "bf16"}}),
            "limits.json: model.kv: found \"bf16\", expected \"fp8\" (or nothing), as the model's "
            "kv_cache_scheme says");
}

TEST(Engine, TakesBlocksThatAttentionTakes) {
  for (const char* size : {"1", "8", "16", "48", "128", "528"})
    EXPECT_EQ(refusal({{"engine.block_size", size}}), "no error") << size;
  EXPECT_EQ(refusal({{"engine.block_size", "7"}}),
            "limits.json: engine.block_size: found 7, expected 1, 8 or a multiple of 16");
}

TEST(Engine, NamesTheProfileItDoesNotKnow) {
  EXPECT_TRUE(refusal({{"engine.profile", "vllm"}})
                  .starts_with("limits.json: engine.profile: found no engine profile named 'vllm'"))
      << refusal({{"engine.profile", "vllm"}});
}

TEST(Pools, OfUnlikeRanksCannotSendByRank) {
  EXPECT_EQ(refusal({{"deployment",
                      R"({"prefill": {"tp": 2}, "decode": {"tp": 1}, "kv_connector": "P2pNcclConnector"})"}}),
            "limits.json: deployment.kv_connector: found P2pNcclConnector with tp 2 x pp 1 and tp 1 x pp 1, "
            "expected "
            "one tp and pp 1 in both pools: a GPU sends to the one of its rank");
}

// What is paid for the machine is spread over years; what costs nothing needs none.
TEST(Economics, SpreadCapitalOverYearsThatAreGiven) {
  EXPECT_EQ(refusal({{"economics", R"({"capital_usd": 100000})"}}),
            "limits.json: economics: expected the key 'years', which is missing");
  EXPECT_EQ(refusal({{"economics", R"({"capital_usd": 100000, "years": 4})"}}), "no error");
  EXPECT_EQ(refusal({{"economics", R"({"capital_usd": 0, "electricity_usd_per_kwh": 0.3})"}}), "no error");
}

}  // namespace
}  // namespace sextant
