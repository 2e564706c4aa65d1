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

// Mixtral, per layer: q and o 2 x 4096^2, k and v 2 x 1024 x 4096, 8 experts of 3 x 4096 x 14336, router
// 8 x 4096, norms 2 x 4096 = 1,451,270,144; x 32 + 2 x 32000 x 4096 + 4096.
TEST(Parameters, OfMixtral) {
  EXPECT_EQ(find_model("mixtral-8x7b").architecture.parameters(), 46'702'792'704);
}

// 30B, per layer: q and o 2 x 4096 x 2048, k and v 2 x 512 x 2048, 128 experts of 3 x 2048 x 768 =
// 603,979,776, router 128 x 2048, norms 2 x 2048 + 2 x 128 = 623,120,640; x 48 + 2 x 151936 x 2048 + 2048.
// 235B, per layer: 2 x 8192 x 4096 + 2 x 512 x 4096 + 128 x 3 x 4096 x 1536 + 128 x 4096 + 2 x 4096 + 256 =
// 2,487,755,008; x 94 + 2 x 151936 x 4096 + 4096.
TEST(Parameters, OfQwen3Moe) {
  EXPECT_EQ(find_model("qwen3-30b-a3b").architecture.parameters(), 30'532'122'624);
  EXPECT_EQ(find_model("qwen3-235b-a22b").architecture.parameters(), 235'093'634'560);
}

// Per layer: q and o 2 x 5120^2, k and v 2 x 1024 x 5120, 16 experts and the shared one 17 x 3 x 5120 x 8192,
// router 16 x 5120, norms 2 x 5120 = 2,202,101,760; x 48 + 2 x 202048 x 5120 + 5120 = 107,769,861,120.
// Vision, per layer: 4 x 1408^2 + 2 x 1408 x 5632 and biases 4 x 1408 + 5632 + 1408 and two norms 4 x 1408 =
// 23,807,872; x 34. Patches 14 x 14 x 3 x 1408, class token 1408, positions (24^2 + 1) x 1408, two norms
// 4 x 1408, adapter 5632 x 4096 + 4096^2, projector 4096 x 5120: 871,932,416 in all.
TEST(Parameters, OfLlama4ScoutWithItsVisionEncoder) {
  const Architecture scout = find_model("llama-4-scout-17b-16e-fp8").architecture;
  EXPECT_EQ(scout.encoder.cut + scout.encoder.whole, 871'932'416);
  EXPECT_EQ(scout.parameters(), 107'769'861'120 + 871'932'416);
}

// Per layer: q and o 2 x 4096 x 2880, k and v 2 x 512 x 2880, biases 4096 + 2 x 512 + 2880, sinks 64; router
// 128 x 2880 + 128; 128 experts of 3 x 2880^2 and biases 3 x 2880; norms 2 x 2880 = 3,213,080,192 ; x 36 + 2
// x 201088 x 2880 + 2880.
TEST(Parameters, OfGptOss) {
  EXPECT_EQ(find_model("gpt-oss-120b").architecture.parameters(), 116'829'156'672);
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

const MixtureOfExperts& experts(const Architecture& architecture, int layer) {
  return std::get<MixtureOfExperts>(architecture.layer(layer).feed_forward);
}

// Scout: every fourth layer (3, 7, ...) without rotary positions and chunks; 36 chunked, 12 whole.
TEST(Llama4, AlternatesChunkedAndWholeAttention) {
  const Architecture scout = find_model("llama-4-scout-17b-16e-fp8").architecture;
  EXPECT_EQ(scout.kinds.size(), 2u);
  EXPECT_EQ(attention(scout, 2).chunk, 8192);
  EXPECT_TRUE(attention(scout, 2).rotary);
  EXPECT_TRUE(attention(scout, 2).unweighted_qk_norm);
  EXPECT_EQ(attention(scout, 3).chunk, std::nullopt);
  EXPECT_FALSE(attention(scout, 3).rotary);
  EXPECT_FALSE(attention(scout, 3).unweighted_qk_norm);
  EXPECT_EQ(std::count(scout.layers.begin(), scout.layers.end(), scout.layers[3]), 12);
  EXPECT_EQ(experts(scout, 0).shared_intermediate, 8192);
}

// With a step of 2 (Maverick's), layers 1 and 3 have experts, 0 and 2 a wider MLP of 256.
TEST(Llama4, InterleavesLayersWithAndWithoutExperts) {
  const Architecture model =
      from(R"({"architectures": ["Llama4ForConditionalGeneration"], "text_config": {"hidden_size": 64,
      "vocab_size": 100, "num_hidden_layers": 4, "max_position_embeddings": 2048, "num_attention_heads": 8,
      "num_key_value_heads": 2, "intermediate_size": 128, "intermediate_size_mlp": 256, "num_local_experts": 4,
      "num_experts_per_tok": 1, "interleave_moe_layer_step": 2, "no_rope_layers": [1, 1, 0, 1]}})");
  EXPECT_EQ(std::get<GatedMlp>(model.layer(0).feed_forward).intermediate, 256);
  EXPECT_EQ(experts(model, 1).experts, 4);
  EXPECT_TRUE(std::holds_alternative<GatedMlp>(model.layer(2).feed_forward));
  EXPECT_TRUE(attention(model, 1).rotary);
  EXPECT_FALSE(attention(model, 2).rotary);
  EXPECT_EQ(model.encoder.cut + model.encoder.whole, 0);
}

// decoder_sparse_step 2 gives experts to layers 1 and 3; mlp_only_layers takes them from 3.
TEST(Qwen3Moe, LeavesSomeLayersDense) {
  const Architecture model =
      from(config("Qwen3MoeForCausalLM", R"(, "num_experts": 8, "num_experts_per_tok": 2,
      "moe_intermediate_size": 32, "decoder_sparse_step": 2, "mlp_only_layers": [3])"));
  EXPECT_TRUE(std::holds_alternative<GatedMlp>(model.layer(0).feed_forward));
  EXPECT_EQ(experts(model, 1).intermediate, 32);
  EXPECT_TRUE(std::holds_alternative<GatedMlp>(model.layer(3).feed_forward));
}

TEST(GptOss, SlidesInEverySecondLayer) {
  const Architecture model = find_model("gpt-oss-120b").architecture;
  EXPECT_EQ(attention(model, 0).window, 128);
  EXPECT_EQ(attention(model, 1).window, std::nullopt);
  EXPECT_TRUE(attention(model, 1).sinks);
}

/// A quantised model of 4 layers, its modules in 16 bit as given.
std::string quantised(const std::string& weights, const std::string& ignore) {
  return config("LlamaForCausalLM",
                fmt::format(R"(, "quantization_config": {{"quant_method": "compressed-tensors",
      "config_groups": {{"group_0": {{"weights": {{{}}}}}}}, "ignore": [{}]}})",
                            weights, ignore));
}
constexpr auto fp8_channel = R"("num_bits": 8, "type": "float", "strategy": "channel")";

TEST(Quantisation, SaysTheFormatAndWhatStaysInSixteenBit) {
  EXPECT_EQ(find_model("llama-3.1-8b").architecture.quantisation, std::nullopt);
  const Quantisation scout{"fp8-dynamic", {Part::attention, Part::router}};
  EXPECT_EQ(find_model("llama-4-scout-17b-16e-fp8").architecture.quantisation, scout);
  const Quantisation oss{"mxfp4", {Part::attention, Part::router}};
  EXPECT_EQ(find_model("gpt-oss-120b").architecture.quantisation, oss);
  const Quantisation plain{"fp8-dynamic", {}};
  EXPECT_EQ(from(quantised(fp8_channel, R"("lm_head")")).quantisation, plain);
  const Quantisation awq{"awq-int4", {}};
  EXPECT_EQ(from(config("LlamaForCausalLM", R"(, "quantization_config": {"quant_method": "awq", "bits": 4,
      "group_size": 128})"))
                .quantisation,
            awq);
}

// NVIDIA's Model Optimizer writes quant_algo, and what it leaves out as patterns of module names.
TEST(Quantisation, ReadsModelOptimizer) {
  const auto of = [](const std::string& keys) {
    return from(config("LlamaForCausalLM",
                       R"(, "quantization_config": {"quant_method": "modelopt", )" + keys + "}"))
        .quantisation;
  };
  EXPECT_EQ(of(R"("quant_algo": "NVFP4", "ignore": ["lm_head"])"), (Quantisation{"nvfp4", {}}));
  EXPECT_EQ(of(R"("quant_algo": "FP8", "exclude_modules": ["lm_head", "*self_attn*"])"),
            (Quantisation{"fp8", {Part::attention}}));
  EXPECT_THAT(message_of([&] { of(R"("quant_algo": "MIXED_PRECISION")"); }),
              HasSubstr("quantization_config.quant_algo: found \"MIXED_PRECISION\", expected"));
}

TEST(Quantisation, RefusesWhatNoFormatStandsFor) {
  EXPECT_THAT(
      message_of([] { from(quantised(R"("num_bits": 4, "type": "int", "strategy": "group")", "")); }),
      HasSubstr("quantization_config.config_groups.group_0.weights: found 4-bit int weights with scales "
                "per group, expected 8-bit float per channel"));
  EXPECT_THAT(
      message_of([] { from(quantised(fp8_channel, R"("model.layers.1.self_attn.q_proj")")); }),
      HasSubstr("quantization_config.ignore: found modules of 1 layers only, expected a part in all 4"));
  EXPECT_THAT(
      message_of(
          [] { from(config("LlamaForCausalLM", R"(, "quantization_config": {"quant_method": "exl2"})")); }),
      HasSubstr("quantization_config.quant_method: found \"exl2\", expected one of compressed-tensors"));
}

TEST(BadConfig, RefusesMoreExpertsPerTokenThanThereAre) {
  EXPECT_THAT(message_of([] {
                from(config("MixtralForCausalLM", R"(, "num_local_experts": 8, "num_experts_per_tok": 9)"));
              }),
              HasSubstr("num_experts_per_tok: found 9, expected at most the 8 experts"));
  EXPECT_THAT(message_of([] {
                from(config("GptOssForCausalLM", R"(, "num_local_experts": 8, "num_experts_per_tok": 2,
                    "sliding_window": 128, "layer_types": ["full_attention"])"));
              }),
              HasSubstr("layer_types: found 1 layers, expected 4"));
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
  EXPECT_THAT(
      model_names(),
      testing::ElementsAre("codellama-34b", "deepseek-r1", "deepseek-v3", "gemma-3-27b", "glm-4.5-air",
                           "glm-4.5", "glm-4.6", "gpt-oss-120b", "gpt-oss-20b", "kimi-k2", "llama-2-7b",
                           "llama-3.1-405b", "llama-3.1-70b", "llama-3.1-8b", "llama-3.1-nemotron-ultra-253b",
                           "llama-3.3-nemotron-super-49b", "llama-4-scout-17b-16e-fp8", "mistral-large-2",
                           "mistral-nemo-12b", "mixtral-8x7b", "nemotron-3-nano-30b-a3b",
                           "nemotron-3-super-120b-a12b", "nemotron-3-ultra-550b-a55b", "qwen2.5-7b",
                           "qwen3-14b", "qwen3-235b-a22b", "qwen3-30b-a3b", "qwen3-32b", "yi-34b"));
  for (const std::string& name : model_names()) {
    const ModelEntry entry = find_model(name);
    EXPECT_EQ(entry.architecture.name, name);
    EXPECT_FALSE(entry.hugging_face_id.empty());
    EXPECT_FALSE(entry.config_source.empty());
    // Published counts are rounded names: within 6 % (Nemotron 3 Nano's 30B are 31.6).
    EXPECT_NEAR(static_cast<double>(entry.architecture.parameters()) / entry.published_parameters, 1, 0.06)
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
