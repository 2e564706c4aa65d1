#include "models/llm/sampling.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"

namespace sextant {
namespace {

SamplingParameters read(const std::string& text, SamplingParameters defaults = {}) {
  const JsonValue value = JsonValue::parse(text, "test.json");
  return read_sampling(value.object()).over(defaults);
}

TEST(Sampling, RequestsGoBeforeTheModel) {
  const SamplingParameters model{0.7, 0.8, 20, 1.05};
  EXPECT_EQ(read("{}", model), model);
  EXPECT_EQ(read(R"({"temperature": 0})", model), (SamplingParameters{0, 0.8, 20, 1.05}));
  EXPECT_EQ(read(R"({"top_p": 1, "top_k": -1, "repetition_penalty": 1})", model),
            (SamplingParameters{0.7, 1, 0, 1}));
}

TEST(Sampling, FiltersOnlyWhereSomethingIsDrawn) {
  EXPECT_FALSE(SamplingParameters{}.filters());
  EXPECT_TRUE((SamplingParameters{.top_p = 0.9}).filters());
  EXPECT_TRUE((SamplingParameters{.top_k = 20}).filters());
  EXPECT_FALSE((SamplingParameters{.temperature = 0, .top_k = 20}).filters());
}

TEST(Sampling, RefusesWhatVllmRefuses) {
  EXPECT_THROW(read(R"({"temperature": -1})"), InputError);
  EXPECT_THROW(read(R"({"top_p": 0})"), InputError);
  EXPECT_THROW(read(R"({"top_p": 1.1})"), InputError);
  EXPECT_THROW(read(R"({"top_k": 0.5})"), InputError);
  EXPECT_THROW(read(R"({"repetition_penalty": 0})"), InputError);
}

TEST(Sampling, ModelsBringTheirOwn) {
  EXPECT_EQ(find_model("qwen2.5-7b").architecture.sampling, (SamplingParameters{0.7, 0.8, 20, 1.05}));
  EXPECT_EQ(find_model("llama-3.1-405b").architecture.sampling, (SamplingParameters{0.6, 0.9, 0, 1}));
  EXPECT_EQ(find_model("mistral-nemo-12b").architecture.sampling, SamplingParameters{});
}

// As published beside a config.json; its other keys are not ours.
TEST(Sampling, IsReadBesideAConfig) {
  const auto folder = std::filesystem::temp_directory_path() / "sextant-sampling-test";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(SEXTANT_SOURCE_DIR "/models/llm/catalogue/llama-2-7b.config.json",
                             folder / "config.json", std::filesystem::copy_options::overwrite_existing);
  std::ofstream(folder / "generation_config.json")
      << R"({"do_sample": true, "temperature": 0.25, "eos_token_id": 2})";
  EXPECT_EQ(find_model((folder / "config.json").string()).architecture.sampling.temperature, 0.25);
  // Without it the catalogue knows the model by its sizes.
  std::filesystem::remove(folder / "generation_config.json");
  EXPECT_EQ(find_model((folder / "config.json").string()).architecture.sampling,
            (SamplingParameters{0.6, 0.9, 0, 1}));
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace sextant
