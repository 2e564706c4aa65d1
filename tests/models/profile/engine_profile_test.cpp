#include "models/profile/engine_profile.hpp"

#include <gtest/gtest.h>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

TEST(EngineProfile, EveryShippedOneReads) {
  const std::string prefix = "calibrate/profiles/engine.";
  for (const EmbeddedFile& file : embedded_files(prefix)) {
    const std::string path(file.path);
    const EngineProfile profile =
        find_engine_profile(path.substr(prefix.size(), path.size() - prefix.size() - 5));
    EXPECT_EQ(prefix + profile.name + ".json", path);
    EXPECT_GT(profile.memory.context_bytes.value, 0);
  }
  EXPECT_EQ(find_engine_profile("bare").step_us.value, 0);  // kernels and collectives, no host overhead
  EXPECT_GT(find_engine_profile("vllm-0.19").step_us.value, 0);
  EXPECT_THROW(find_engine_profile("vlm-0.19"), InputError);
  EXPECT_EQ(find_engine_profile("vllm-0.19").batch_defaults.max_num_batched_tokens, 2048);
  EXPECT_EQ(find_engine_profile("vllm-0.19").large_gpu_defaults->batch.max_num_batched_tokens, 8192);
}

// A factor widens no host time of 0: such a profile says the slow end in us. One with both would count twice.
TEST(EngineProfile, SaysTheSlowEndOfAHostTimeOfNone) {
  EXPECT_DOUBLE_EQ(find_engine_profile("trtllm-1.0").step_us_hi90, 500);
  for (const EmbeddedFile& file : embedded_files("calibrate/profiles/engine.vllm-0.19")) {
    std::string text(file.content);
    text.insert(text.find("\"host_spread\""), "\"step_us_hi90\": 5, ");
    try {
      read_engine_profile(JsonValue::parse(text, "engine.json"));
      FAIL() << "no error";
    } catch (const InputError& error) {
      EXPECT_STREQ(
          error.what(),
          "engine.json: step_us_hi90: found it beside a step_us above 0, expected host_spread alone");
    }
  }
}

}  // namespace
}  // namespace sextant
