// The families beyond plain decoders: parameters to the tensor, caches and states to the byte, layers that
// differ.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "models/llm/layer_parts.hpp"
#include "models/llm/memory.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Architecture from(const std::string& text) {
  return read_architecture(JsonValue::parse(text, "config.json"), "test");
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

Architecture catalogued(const std::string& name) {
  return find_model(name).architecture;
}

StageShape whole(const Architecture& model, std::int64_t tp = 1) {
  return {{0, model.layer_count()}, tp, true, true};
}

// Derived counts of ../shared/data/models.json, 10^9, to its three digits after the point or less.
TEST(Parameters, OfEveryModelOfTheDataSet) {
  const std::vector<std::pair<std::string, double>> derived = {{"llama-3.1-8b", 8.03},
                                                               {"llama-3.1-70b", 70.554},
                                                               {"llama-3.1-405b", 405.853},
                                                               {"qwen3-32b", 32.762},
                                                               {"mistral-large-2", 122.61},
                                                               {"gemma-3-27b", 27.009},
                                                               {"qwen3-235b-a22b", 235.09},
                                                               {"qwen3-30b-a3b", 30.53},
                                                               {"mixtral-8x7b", 46.7},
                                                               {"gpt-oss-120b", 116.79},
                                                               {"gpt-oss-20b", 20.91},
                                                               {"glm-4.5", 352.8},
                                                               {"glm-4.6", 352.8},
                                                               {"glm-4.5-air", 106.85},
                                                               {"deepseek-v3", 671.03},
                                                               {"deepseek-r1", 671.03},
                                                               {"kimi-k2", 1026.41},
                                                               {"llama-3.1-nemotron-ultra-253b", 253.401},
                                                               {"llama-3.3-nemotron-super-49b", 49.867},
                                                               {"nemotron-3-nano-30b-a3b", 31.58},
                                                               {"nemotron-3-super-120b-a12b", 120.67},
                                                               {"nemotron-3-ultra-550b-a55b", 549.31}};
  ASSERT_EQ(derived.size(), 22u);
  for (const auto& [name, billions] : derived)
    EXPECT_NEAR(static_cast<double>(catalogued(name).parameters()) / (billions * 1e9), 1, 0.001) << name;
}

// Counts with embedding and head, from the same file: experts that a token does not take stay out.
TEST(Parameters, ThatOneTokenMeets) {
  const std::vector<std::pair<std::string, double>> active = {{"qwen3-235b-a22b", 22.19},
                                                              {"qwen3-30b-a3b", 3.35},
                                                              {"mixtral-8x7b", 12.88},
                                                              {"gpt-oss-120b", 5.71},
                                                              {"glm-4.5", 33.63},
                                                              {"deepseek-v3", 37.55},
                                                              {"kimi-k2", 32.86},
                                                              {"nemotron-3-nano-30b-a3b", 3.58},
                                                              {"nemotron-3-super-120b-a12b", 12.77},
                                                              {"nemotron-3-ultra-550b-a55b", 56.06}};
  for (const auto& [name, billions] : active)
    EXPECT_NEAR(static_cast<double>(catalogued(name).active_parameters()) / (billions * 1e9), 1, 0.002)
        << name;
}

// A layer: q, k, v 5376 x (32 + 2 x 16) x 128, o 4096 x 5376, MLP 3 x 5376 x 21504, four norms 4 x 5376 and
// those of q and k 2 x 128 = 412,898,560; x 62 + 262208 x 5376 (tied) + 5376.
TEST(Parameters, OfGemma3) {
  EXPECT_EQ(catalogued("gemma-3-27b").parameters(), 27'009'346'304);
}

// V3: attention 1536 x 7168 + 24576 x 1536 + 576 x 7168 + 32768 x 512 + 7168 x 16384 + norms 2048 =
// 187,107,328; dense MLP 3 x 7168 x 18432 = 396,361,728 (3 layers); experts 257 x 3 x 7168 x 2048, router 256
// x 7168, its biases 256 = 11,320,164,608 (58 layers); two norms 14336 a layer; 2 x 129280 x 7168 + 7168.
TEST(Parameters, OfLatentAttention) {
  EXPECT_EQ(catalogued("deepseek-v3").parameters(), 61 * (187'107'328LL + 14'336) + 3 * 396'361'728LL +
                                                        58 * 11'320'164'608LL + 2 * 129'280LL * 7'168 +
                                                        7'168);
  EXPECT_EQ(catalogued("deepseek-v3").parameters(), 671'026'419'200);
  EXPECT_EQ(catalogued("kimi-k2").parameters(), 1'026'408'232'448);
}

// Mamba layer of Super: in 4096 x (2 x 8192 + 2 x 8 x 128 + 128) = 4096 x 18560, out 8192 x 4096, convolution
// 10240 x 4 + 10240, dt, A and D 3 x 128, norms 8192 + 4096 = 109,640,064 (40 layers). Experts: router 512 x
// 4096 + 512, 512 x 2 x 1024 x 2688, shared 2 x 4096 x 5376, to and from 1024 values 2 x 4096 x 1024, norm
// 4096 = 2,873,102,848 (40). Attention 2 x 4096^2 + 2 x 4096 x 256 + 4096 = 35,655,680 (8).
TEST(Parameters, OfStateSpacesAndLatentExperts) {
  EXPECT_EQ(catalogued("nemotron-3-super-120b-a12b").parameters(),
            40 * 109'640'064LL + 40 * 2'873'102'848LL + 8 * 35'655'680LL + 2 * 131'072LL * 4'096 + 4'096);
  EXPECT_EQ(catalogued("nemotron-3-nano-30b-a3b").parameters(), 31'577'940'288);
  EXPECT_EQ(catalogued("nemotron-3-ultra-550b-a55b").parameters(), 549'308'993'536);
}

// Ultra: 64 layers with attention of 2 x 16384^2 + 2 x 16384 x 1024 + 16384, 81 with an MLP and its norm
// whose widths sum to 4,327,168; 2 x 128256 x 16384 + 16384. Super: 49, 80, 1,642,496, hidden 8192.
TEST(Parameters, OfLayersThatDiffer) {
  const auto count = [](std::int64_t hidden, std::int64_t mixers, std::int64_t forwards,
                        std::int64_t widths) {
    return mixers * (2 * hidden * hidden + 2 * hidden * 1024 + hidden) + 3 * hidden * widths +
           forwards * hidden + 2 * 128'256 * hidden + hidden;
  };
  EXPECT_EQ(catalogued("llama-3.1-nemotron-ultra-253b").parameters(), count(16'384, 64, 81, 4'327'168));
  EXPECT_EQ(catalogued("llama-3.3-nemotron-super-49b").parameters(), count(8'192, 49, 80, 1'642'496));
}

// 512 + 64 values of 2 B in each of 61 layers, on every GPU of a group alike.
TEST(Cache, OfLatentAttentionIsOneVectorOnEveryGpu) {
  const Architecture model = catalogued("deepseek-v3");
  EXPECT_DOUBLE_EQ(kv_bytes_per_token(model, kv_format("bf16"), whole(model)), 61 * 576 * 2);
  EXPECT_DOUBLE_EQ(kv_bytes_per_token(model, kv_format("bf16"), whole(model, 8)), 61 * 576 * 2);
  EXPECT_DOUBLE_EQ(kv_bytes_per_token(model, kv_format("fp8"), whole(model)), 61 * 576);
}

// 128 heads of 64 x 128 values of 4 B = 4,194,304 B and (8192 + 2 x 8 x 128) x 3 values of 2 B = 61,440 B in
// each of 40 layers; 8 attention layers cache 2 x 2 x 128 values of 2 B.
TEST(Cache, OfStateSpacesIsConstant) {
  const Architecture model = catalogued("nemotron-3-super-120b-a12b");
  const SequenceCache cache = sequence_cache(model, kv_format("bf16"), whole(model));
  EXPECT_DOUBLE_EQ(cache.state, 40 * (4'194'304.0 + 61'440));
  EXPECT_DOUBLE_EQ(cache.bytes_per_token, 8 * 1024);
  EXPECT_TRUE(cache.windows.empty());
  EXPECT_DOUBLE_EQ(cache.bytes(1000), cache.state + 8'192'000);
  // Two GPUs halve the heads and the groups.
  EXPECT_DOUBLE_EQ(sequence_cache(model, kv_format("bf16"), whole(model, 2)).state,
                   20 * (4'194'304.0 + 61'440));
  // Groups are replicated beyond 8: of 16 GPUs each has 8 heads and one group, 512 + 2 x 128 channels.
  EXPECT_DOUBLE_EQ(sequence_cache(model, kv_format("bf16"), whole(model, 16)).state,
                   40 * (8 * 64 * 128 * 4.0 + 768 * 3 * 2));
}

// 52 of 62 layers keep 1024 tokens: 2 x 16 x 128 values of 2 B = 8192 B a token in each layer.
TEST(Cache, OfSlidingLayersIsBounded) {
  const Architecture model = catalogued("gemma-3-27b");
  const SequenceCache cache = sequence_cache(model, kv_format("bf16"), whole(model));
  EXPECT_DOUBLE_EQ(cache.bytes_per_token, 10 * 8192);
  ASSERT_EQ(cache.windows.size(), 1u);
  EXPECT_EQ(cache.windows[0].tokens, 1024);
  EXPECT_DOUBLE_EQ(cache.windows[0].bytes_per_token, 52 * 8192);
  EXPECT_DOUBLE_EQ(cache.bytes(100), 100 * 62 * 8192);
  EXPECT_DOUBLE_EQ(cache.bytes(4096), 4096.0 * 10 * 8192 + 1024.0 * 52 * 8192);
  EXPECT_DOUBLE_EQ(kv_bytes_per_token(model, kv_format("bf16"), whole(model)), 62 * 8192);
}

// States come out of the pool: at 9/10 of 200e9 B less 69.5e9 of weights and 0.7e9 of activations some 3,200
// blocks of 8 x 4160 x 1024 B fit, and of an eighth of that card none that would do for 96 sequences.
TEST(Cache, TakesStatesFromThePool) {
  const Architecture model = catalogued("nemotron-3-super-120b-a12b");
  const KvPool pool = kv_pool(model, kv_format("bf16"), 1, 16);
  const auto budget = [&](double device_bytes) {
    return memory_budget(model, weight_format("nvfp4"), kv_format("bf16"), whole(model), {2048, 96}, {},
                         device_bytes, 0.9, 0, pool);
  };
  const MemoryBudget roomy = budget(200e9);
  EXPECT_EQ(roomy.kv_blocks(), static_cast<std::int64_t>(roomy.for_kv() / 34'078'720));
  EXPECT_NEAR(static_cast<double>(roomy.kv_blocks()), 3220, 60);
  const MemoryBudget tight = budget((roomy.usable - roomy.for_kv() + 95.5 * 34'078'720) / 0.9);
  EXPECT_TRUE(tight.fits());
  EXPECT_EQ(tight.kv_blocks(), 0) << "95 blocks for 96 sequences";
}

// 3 stages of Super 49B in 16 bit: each layer's weights are its own. Layers 53 to 69 of 80 have no attention
// and narrow MLPs: 17 of them weigh less than two of the first.
TEST(StageWeights, FollowTheLayersOfTheStage) {
  const Architecture model = catalogued("llama-3.3-nemotron-super-49b");
  const auto weights = [&](int begin, int end) {
    return stage_weights(model, weight_format("bf16"), {{begin, end}, 1, false, false});
  };
  // Layer 1: q and o 2 x 8192^2, k and v 2 x 1024 x 8192, MLP 3 x 8192 x 28672.
  EXPECT_DOUBLE_EQ(weights(1, 2).layers, 2.0 * (2 * 8192.0 * 8192 + 2 * 1024.0 * 8192 + 3 * 8192.0 * 28672));
  // Layer 6: no attention, MLP 3 x 8192 x 14336 and its norm.
  EXPECT_DOUBLE_EQ(weights(6, 7).layers, 2.0 * 3 * 8192 * 14336);
  EXPECT_DOUBLE_EQ(weights(6, 7).norms, 2.0 * 8192);
  EXPECT_DOUBLE_EQ(kv_bytes_per_token(model, kv_format("bf16"), {{6, 8}, 1, false, false}), 0);
  double sum = 0;
  for (int i = 0; i < 80; ++i) sum += weights(i, i + 1).total();
  EXPECT_DOUBLE_EQ(sum, weights(0, 80).total());
}

// fp8 with a 4-byte scale for each block of 128 x 128: 7168 x 1536 weights have 56 x 12 blocks; the absorbed
// copy of kv_b stays in 16 bit beside it: 32768 x 512 weights a layer.
TEST(StageWeights, OfBlockScalesAndAbsorbedCopies) {
  EXPECT_DOUBLE_EQ(weight_format("fp8-block").matrix_bytes(1536, 7168), 1536.0 * 7168 + 56 * 12 * 4);
  EXPECT_DOUBLE_EQ(weight_format("fp8-block").matrix_bytes(576, 7168), 576.0 * 7168 + 56 * 5 * 4);
  const Architecture model = catalogued("deepseek-v3");
  EXPECT_EQ(model.quantisation->format, "fp8-block");
  const StageWeights one = stage_weights(model, weight_format("fp8-block"), {{0, 1}, 1, false, false});
  EXPECT_DOUBLE_EQ(one.copies, 32'768.0 * 512 * 2);
}

std::string hybrid(const std::string& pattern, const std::string& more = "") {
  return fmt::format(
      R"({{"architectures": ["NemotronHForCausalLM"], "hidden_size": 64, "vocab_size": 128, "num_hidden_layers": 4,
      "max_position_embeddings": 1024, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16,
      "mamba_num_heads": 8, "mamba_head_dim": 16, "ssm_state_size": 32, "n_groups": 2, "conv_kernel": 4,
      "chunk_size": 64, "intermediate_size": 96, "n_routed_experts": 8, "num_experts_per_tok": 2,
      "moe_intermediate_size": 48, "n_shared_experts": 0, {}{}}})",
      pattern, more);
}

// Mamba: in 64 x (2 x 128 + 2 x 2 x 32 + 8) = 64 x 392, out 128 x 64, convolution 256 x 5, 3 x 8, norms 128 +
// 64. MLP: 2 x 64 x 96 + 64. Attention: 4 x 64 x 16 x ... q, o 2 x 64 x 64, k, v 2 x 64 x 32, norm. Experts:
// 8 x 2 x 64 x 48, router 8 x 64 + 8, norm.
TEST(NemotronH, OutsideTheCatalogueJustWorks) {
  const std::int64_t mamba = 64 * 392 + 128 * 64 + 256 * 5 + 24 + 192, mlp = 2 * 64 * 96 + 64;
  const std::int64_t attention = 2 * 64 * 64 + 2 * 64 * 32 + 64, experts = 8 * 2 * 64 * 48 + 8 * 64 + 8 + 64;
  const std::int64_t outside = 2 * 128 * 64 + 64;
  const Architecture model = from(hybrid(R"("hybrid_override_pattern": "M-*E")"));
  EXPECT_EQ(model.parameters(), mamba + mlp + attention + experts + outside);
  const Architecture listed = from(hybrid(R"("layers_block_type": ["mamba", "mlp", "attention", "moe"])"));
  EXPECT_EQ(listed.kinds, model.kinds);
  // Without mamba_ssm_cache_dtype the state is in 16 bit: 128 x 32 x 2 B; (128 + 2 x 64) x 3 x 2 B.
  EXPECT_DOUBLE_EQ(sequence_cache(model, kv_format("bf16"), whole(model)).state, 8192 + 1536);
}

TEST(NemotronH, NamesAnUnknownLayer) {
  EXPECT_THAT(message_of([] { from(hybrid(R"("hybrid_override_pattern": "MX*E")")); }),
              AllOf(HasSubstr("hybrid_override_pattern"), HasSubstr("unknown layer type \"X\" at layer 1"),
                    HasSubstr("expected M (mamba), E (moe), * (attention) or - (mlp)")));
  EXPECT_THAT(message_of([] { from(hybrid(R"("layers_block_type": ["mamba", "rwkv", "mlp", "moe"])")); }),
              AllOf(HasSubstr("layers_block_type[1]"), HasSubstr("\"rwkv\"")));
  EXPECT_THAT(message_of([] { from(hybrid(R"("hybrid_override_pattern": "M*E")")); }),
              HasSubstr("found 3 layers, expected 4"));
  EXPECT_THAT(message_of([] {
                from(hybrid(R"("hybrid_override_pattern": "M-*E", "mamba_ssm_cache_dtype": "int3")"));
              }),
              HasSubstr("found \"int3\", expected float32, float16, bfloat16 or auto"));
}

std::string searched(const std::string& blocks) {
  return R"({"architectures": ["DeciLMForCausalLM"], "hidden_size": 96, "vocab_size": 100, "num_hidden_layers": 2,
      "max_position_embeddings": 1024, "num_attention_heads": 6, "block_configs": [)" +
         blocks + "]}";
}

// Width: int(2 x 4 x 96 / 3) = 256, a multiple of 256 already; one square matrix instead of attention.
TEST(NemotronNas, ReadsEachBlock) {
  const Architecture model = from(searched(
      R"({"attention": {"n_heads_in_group": 3, "window_length": 32}, "ffn": {"ffn_mult": 4.0}},
         {"attention": {"replace_with_linear": true}, "ffn": {"no_op": true}})"));
  const auto& attention = std::get<GroupedQueryAttention>(model.layer(0).mixer);
  EXPECT_EQ(attention.kv_heads, 2);
  EXPECT_EQ(attention.window, 32);
  EXPECT_EQ(std::get<GatedMlp>(model.layer(0).feed_forward).intermediate, 256);
  EXPECT_TRUE(std::holds_alternative<SquareMatrix>(model.layer(1).mixer));
  EXPECT_EQ(model.parameters(),
            (2 * 96 * 96 + 2 * 96 * 32 + 96) + (3 * 96 * 256 + 96) + (96 * 96 + 96) + 2 * 100 * 96 + 96);
}

TEST(NemotronNas, RefusesBlocksThatDoNotAddUp) {
  EXPECT_THAT(message_of([] { from(searched(R"({"attention": {"no_op": true}, "ffn": {"no_op": true}})")); }),
              AllOf(HasSubstr("block_configs"), HasSubstr("found 1 layers, expected 2")));
  EXPECT_THAT(message_of([] {
                from(searched(R"({"attention": {"n_heads_in_group": 4}, "ffn": {"no_op": true}},
                                 {"attention": {"no_op": true}, "ffn": {"no_op": true}})"));
              }),
              HasSubstr("found 4, expected a divisor of the 6 attention heads"));
}

TEST(Cutting, RefusesWhatDoesNotDivide) {
  const Architecture model = catalogued("deepseek-v3");
  EXPECT_THAT(message_of([&] {
                layer_parts(model.layer(0), model.hidden, {3, 1});
              }),
              HasSubstr("found 3, expected a divisor of the 128 attention heads"));
  EXPECT_THAT(message_of([&] {
                layer_parts(model.layer(5), model.hidden, {1, 96});
              }),
              HasSubstr("expert parallel: found 96, expected a divisor of the 256 experts"));
  const Architecture hybrid_model = catalogued("nemotron-3-super-120b-a12b");
  EXPECT_THAT(message_of([&] {
                layer_parts(hybrid_model.layer(0), hybrid_model.hidden, {3, 1});
              }),
              HasSubstr("128 heads of the state-space mixer"));
}

// Published files of Gemma 3 leave out what transformers' defaults fill in; a tower of vision adds to the
// count.
TEST(Gemma3, FillsInWhatPublishedFilesLeaveOut) {
  const Architecture model = from(
      R"({"architectures": ["Gemma3ForConditionalGeneration"], "text_config": {"hidden_size": 2560,
      "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024},
      "vision_config": {"hidden_size": 1152, "image_size": 896, "intermediate_size": 4304, "num_hidden_layers": 27,
      "patch_size": 14}})");
  EXPECT_EQ(std::get<GroupedQueryAttention>(model.layer(0).mixer).head_dim, 256);
  EXPECT_EQ(std::get<GroupedQueryAttention>(model.layer(0).mixer).window, 1024);
  EXPECT_FALSE(std::get<GroupedQueryAttention>(model.layer(5).mixer).window.has_value());
  // Tower, a layer: 4 x 1152^2 + 2 x 1152 x 4304 + 9 x 1152 + 4304; x 27; patches 588 x 1152 + 1152,
  // positions 4096 x 1152, norm 2 x 1152; projector 1152 x 2560 + 1152.
  EXPECT_EQ(model.encoder.cut + model.encoder.whole,
            27 * (4 * 1152 * 1152 + 2 * 1152 * 4304 + 9 * 1152 + 4304) + 589 * 1152 + 4096 * 1152 + 2 * 1152 +
                1152 * 2560 + 1152);
}

TEST(SharedData, EveryConfigLoads) {
  const char* shared = std::getenv("SEXTANT_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(shared ? shared : SEXTANT_SOURCE_DIR "/../shared") / "data/configs";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
  int loaded = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    EXPECT_GT(find_model(entry.path().string()).architecture.parameters(), 1'000'000'000) << entry.path();
    ++loaded;
  }
  EXPECT_EQ(loaded, 12);
}

}  // namespace
}  // namespace sextant
