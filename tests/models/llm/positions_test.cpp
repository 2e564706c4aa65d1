#include <fmt/core.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "models/llm/architecture.hpp"

namespace sextant {
namespace {

/// A small model of 32768 positions, with what the test adds.
std::int64_t longest(const std::string& more) {
  const std::string text = fmt::format(
      R"({{"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "vocab_size": 100, "num_hidden_layers": 4,
      "max_position_embeddings": 32768, "num_attention_heads": 8, "intermediate_size": 128{}}})",
      more);
  return read_architecture(JsonValue::parse(text, "config.json"), "test").max_position;
}

std::string refusal(const std::string& more) {
  try {
    longest(more);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// 4 x 32768; begun at the original length, so that a file which has multiplied already is not multiplied
// again.
TEST(LongestContext, YarnBeginsAtTheOriginalLength) {
  for (const char* key : {"type", "rope_type"})
    EXPECT_EQ(longest(fmt::format(R"(, "rope_scaling": {{"{}": "yarn", "factor": 4,
        "original_max_position_embeddings": 32768}})",
                                  key)),
              131072);
  EXPECT_EQ(longest(R"(, "rope_scaling": {"type": "yarn", "factor": 8,
      "original_max_position_embeddings": 4096})"),
            32768);
}

// vLLM multiplies max_position_embeddings for all types but su, longrope and llama3.
TEST(LongestContext, OtherTypesStretchOrDoNot) {
  EXPECT_EQ(longest(""), 32768);
  EXPECT_EQ(longest(R"(, "rope_scaling": null)"), 32768);
  EXPECT_EQ(longest(R"(, "rope_scaling": {"type": "linear", "factor": 2})"), 65536);
  EXPECT_EQ(longest(R"(, "rope_scaling": {"type": "dynamic", "factor": 1.5})"), 49152);
  EXPECT_EQ(longest(R"(, "rope_scaling": {"rope_type": "default"})"), 32768);
  EXPECT_EQ(longest(R"(, "rope_scaling": {"rope_type": "llama3", "factor": 8})"), 32768);
  EXPECT_EQ(longest(R"(, "rope_scaling": {"type": "su", "rope_type": "longrope"})"), 32768);
}

// One block, or one for each type of layer: where those do not agree, none counts.
TEST(LongestContext, ReadsNewerFiles) {
  constexpr auto yarn = R"({"rope_type": "yarn", "factor": 4, "original_max_position_embeddings": 32768})";
  constexpr auto plain = R"({"rope_type": "default", "rope_theta": 10000.0})";
  EXPECT_EQ(longest(fmt::format(R"(, "rope_parameters": {})", yarn)), 131072);
  EXPECT_EQ(longest(R"(, "rope_parameters": {"rope_theta": 10000.0})"), 32768);
  const auto by_layer = [](const char* full, const char* sliding) {
    return longest(fmt::format(R"(, "rope_parameters": {{"full_attention": {}, "sliding_attention": {}}})",
                               full, sliding));
  };
  EXPECT_EQ(by_layer(yarn, yarn), 131072);
  EXPECT_EQ(by_layer(yarn, plain), 32768);
}

TEST(LongestContext, RefusesWhatItCannotScaleBy) {
  EXPECT_TRUE(refusal(R"(, "rope_scaling": {"type": "yarm", "factor": 4})")
                  .starts_with("config.json: rope_scaling.type: found the unknown rope type \"yarm\""));
  EXPECT_EQ(refusal(R"(, "rope_scaling": {"type": "linear"})"),
            "config.json: rope_scaling: expected the key 'factor', which is missing");
  EXPECT_EQ(
      refusal(R"(, "rope_scaling": {"type": "yarn", "factor": 4})"),
      "config.json: rope_scaling: expected the key 'original_max_position_embeddings', which is missing");
  EXPECT_EQ(refusal(R"(, "rope_scaling": {"factor": 4})"),
            "config.json: rope_scaling: expected the key 'rope_type', which is missing");
  for (const char* factor : {"0", "-4"})
    EXPECT_TRUE(refusal(fmt::format(R"(, "rope_scaling": {{"type": "linear", "factor": {}}})", factor))
                    .starts_with(fmt::format("config.json: rope_scaling.factor: found {}", factor)));
  EXPECT_EQ(
      refusal(R"(, "rope_scaling": {"type": "linear", "rope_type": "yarn", "factor": 2})"),
      "config.json: rope_scaling.type: found \"linear\", expected \"yarn\" as rope_type says, or no type");
}

}  // namespace
}  // namespace sextant
