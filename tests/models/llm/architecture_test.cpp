#include "models/llm/architecture.hpp"

#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

Architecture from(const std::string& text) {
  return read_architecture(JsonValue::parse(text, "config.json"), "test");
}

/// A small model, with what the test adds.
std::string config(const std::string& family, const std::string& more = "") {
  return fmt::format(
      R"({{"architectures": ["{}"], "hidden_size": 64, "vocab_size": 100, "num_hidden_layers": 4,
      "max_position_embeddings": 2048, "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 128{}}})",
      family, more);
}

const GroupedQueryAttention& attention(const Architecture& architecture, int layer) {
  return std::get<GroupedQueryAttention>(architecture.layer(layer).mixer);
}

// Per layer of the 8B: q and o 2 x 4096^2, k and v 2 x 1024 x 4096, MLP 3 x 4096 x 14336, norms 2 x 4096
// = 218,112,000; x 32 + 2 x 128256 x 4096 + 4096 = 8,030,261,248. The others likewise.
TEST(Parameters, AddUpToTheTensor) {
  EXPECT_EQ(find_model("llama-3.1-8b").architecture.parameters(), 8'030'261'248);
  EXPECT_EQ(find_model("llama-3.1-70b").architecture.parameters(), 70'553'706'496);
  EXPECT_EQ(find_model("llama-3.1-405b").architecture.parameters(), 405'853'388'800);
  // q and o are 8192 x 5120 here (head_dim is explicit), and each layer has 2 x 128 weights of q and k norms.
  EXPECT_EQ(find_model("qwen3-32b").architecture.parameters(), 32'762'123'264);
  EXPECT_EQ(find_model("mistral-large-2").architecture.parameters(), 122'610'069'504);
  // Multi-head: q, k, v and o 4 x 4096^2, MLP 3 x 4096 x 11008, norms 8192 = 202,383,360; x 32 + 2 x 32000 x
  // 4096 + 4096.
  EXPECT_EQ(find_model("llama-2-7b").architecture.parameters(), 6'738'415'616);
  // q and o 2 x 4096 x 5120 (head_dim is explicit), k and v 2 x 1024 x 5120, MLP 3 x 5120 x 14336, norms
  // 10240 = 272,640,000; x 40 + 2 x 131072 x 5120 + 5120.
  EXPECT_EQ(find_model("mistral-nemo-12b").architecture.parameters(), 12'247'782'400);
  // q and o 2 x 3584^2, k and v 2 x 512 x 3584, their biases 3584 + 2 x 512, MLP 3 x 3584 x 18944, norms 7168
  // = 233,057,792; x 28 + 2 x 152064 x 3584 + 3584.
  EXPECT_EQ(find_model("qwen2.5-7b").architecture.parameters(), 7'615'616'512);
}

// Layer: q, o 2 x 64^2 = 8192; k, v 2 x 16 x 64 = 2048; MLP 3 x 64 x 128 = 24576; norms 128 -> 34944; x 4 =
// 139776. Embedding 6400, once if tied; final norm 64.
TEST(Parameters, CountATiedEmbeddingOnce) {
  EXPECT_EQ(from(config("LlamaForCausalLM")).parameters(), 139'776 + 2 * 6400 + 64);
  EXPECT_EQ(from(config("LlamaForCausalLM", R"(, "tie_word_embeddings": true)")).parameters(),
            139'776 + 6400 + 64);
}

TEST(Families, HeadDimDefaultsToHiddenOverHeads) {
  EXPECT_EQ(attention(from(config("LlamaForCausalLM")), 0).head_dim, 8);
  EXPECT_EQ(attention(from(config("LlamaForCausalLM", R"(, "head_dim": 32)")), 0).head_dim, 32);
  EXPECT_EQ(attention(from(config("LlamaForCausalLM", R"(, "head_dim": null)")), 0).head_dim, 8);
}

// Qwen2: biases on q (64), k and v (16 each) of every layer: 4 x 96 more than Llama's count.
TEST(Families, Qwen2HasInputBiases) {
  const Architecture qwen = from(config("Qwen2ForCausalLM"));
  EXPECT_TRUE(attention(qwen, 0).input_bias);
  EXPECT_FALSE(attention(qwen, 0).output_bias);
  EXPECT_EQ(qwen.parameters(), from(config("LlamaForCausalLM")).parameters() + 4 * 96);
}

// Qwen3: one norm of head_dim 8 on q and one on k: 4 x 16 more than Llama's count.
TEST(Families, Qwen3NormsQueriesAndKeys) {
  const Architecture qwen = from(config("Qwen3ForCausalLM"));
  EXPECT_TRUE(attention(qwen, 0).qk_norm);
  EXPECT_EQ(qwen.parameters(), from(config("LlamaForCausalLM")).parameters() + 4 * 16);
}

TEST(SlidingWindow, FollowsWhatTheConfigActivates) {
  EXPECT_EQ(attention(from(config("MistralForCausalLM", R"(, "sliding_window": 1024)")), 3).window, 1024);
  EXPECT_EQ(attention(from(config("MistralForCausalLM", R"(, "sliding_window": null)")), 3).window,
            std::nullopt);
  const std::string window = R"(, "sliding_window": 1024, "max_window_layers": 3, "use_sliding_window": )";
  EXPECT_EQ(attention(from(config("Qwen2ForCausalLM", window + "false")), 3).window, std::nullopt);
  const Architecture sliding = from(config("Qwen2ForCausalLM", window + "true"));
  EXPECT_EQ(attention(sliding, 2).window, std::nullopt);
  EXPECT_EQ(attention(sliding, 3).window, 1024);
  EXPECT_EQ(sliding.kinds.size(), 2u);
}

TEST(Layers, EqualOnesShareOneKind) {
  const Architecture model = find_model("llama-3.1-405b").architecture;
  EXPECT_EQ(model.layer_count(), 126);
  EXPECT_EQ(model.kinds.size(), 1u);
  EXPECT_EQ(model.max_position, 131072);
}

TEST(BadConfig, NamesFilePathFoundAndExpected) {
  EXPECT_THAT(message_of([] { from(config("LlamaForCausalLm")); }),
              AllOf(HasSubstr("config.json: architectures[0]"), HasSubstr("\"LlamaForCausalLm\""),
                    HasSubstr("did you mean 'LlamaForCausalLM'"), HasSubstr("Qwen3ForCausalLM")));
  EXPECT_THAT(message_of([] { from(config("MambaForCausalLM")); }),
              HasSubstr("expected one of LlamaForCausalLM"));
  EXPECT_THAT(message_of([] { from(R"({"architectures": ["LlamaForCausalLM"]})"); }),
              HasSubstr("'hidden_size'"));
  EXPECT_THAT(message_of([] { from(R"({"hidden_size": 64})"); }), HasSubstr("'architectures'"));
  EXPECT_THAT(message_of([] { from(R"({"architectures": []})"); }),
              HasSubstr("architectures: found an empty array"));
  EXPECT_THAT(message_of([] { from("[]"); }), HasSubstr("expected an object"));
}

TEST(BadConfig, RefusesAbsurdSizesAndUnevenHeads) {
  const std::string sizes = R"({"architectures": ["LlamaForCausalLM"], "max_position_embeddings": 2048,
      "vocab_size": 100, "intermediate_size": 128, "num_hidden_layers": 4, )";
  EXPECT_THAT(message_of([&] { from(sizes + R"("hidden_size": -64, "num_attention_heads": 8})"); }),
              HasSubstr("hidden_size: found -64, expected a whole number from 1"));
  EXPECT_THAT(message_of([&] {
                from(sizes + R"("hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 3})");
              }),
              HasSubstr("num_key_value_heads: found 3, expected a divisor of the 8 attention heads"));
  EXPECT_THAT(message_of([&] { from(sizes + R"("hidden_size": 60, "num_attention_heads": 8})"); }),
              HasSubstr("hidden_size: found 60, expected a multiple of the 8 attention heads"));
}

TEST(Catalogue, FindsByNameWithItsSideCar) {
  EXPECT_THAT(model_names(),
              testing::ElementsAre("llama-2-7b", "llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b",
                                   "mistral-large-2", "mistral-nemo-12b", "qwen2.5-7b", "qwen3-32b"));
  for (const std::string& name : model_names()) {
    const ModelEntry entry = find_model(name);
    EXPECT_EQ(entry.architecture.name, name);
    EXPECT_FALSE(entry.hugging_face_id.empty());
    EXPECT_FALSE(entry.config_source.empty());
    // Published counts are rounded names: within 3 %.
    EXPECT_NEAR(static_cast<double>(entry.architecture.parameters()) / entry.published_parameters, 1, 0.03)
        << name;
  }
}

TEST(Catalogue, NamesTheNearestModel) {
  EXPECT_THAT(message_of([] { find_model("llama-3.1-7b"); }),
              AllOf(HasSubstr("found \"llama-3.1-7b\""), HasSubstr("did you mean 'llama-3.1-")));
  EXPECT_THAT(message_of([] { find_model("missing/config.json"); }),
              HasSubstr("missing/config.json: no such file"));
}

/// Published configs outside the repository: those of known families load, the others say what they are.
TEST(Catalogue, ReadsEveryPublishedConfigOfAKnownFamily) {
  const char* shared = std::getenv("SEXTANT_SHARED");
  const std::filesystem::path folder =
      (shared ? std::filesystem::path(shared) : std::filesystem::path(SEXTANT_SOURCE_DIR) / ".." / "shared") /
      "data" / "configs";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << folder << " is absent";
  const std::vector<std::string> known = known_architectures();
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    if (file.path().extension() != ".json") continue;
    const std::string path = file.path().string();
    const std::string family = JsonValue::read(path).object().at("architectures").array().front().text();
    if (std::find(known.begin(), known.end(), family) != known.end())
      EXPECT_GT(find_model(path).architecture.parameters(), 1'000'000'000) << path;
    else
      EXPECT_THAT(message_of([&] { find_model(path); }), HasSubstr("unknown architecture \"" + family))
          << path;
  }
}

}  // namespace
}  // namespace sextant
