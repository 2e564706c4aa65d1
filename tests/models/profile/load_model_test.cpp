#include "models/profile/load_model.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"

namespace sextant {
namespace {

/// 700 W at most, 100 W idle, watts above that with the square of the clock.
LoadModel toy() {
  LoadModel load;
  load.limit_watts = 700;
  load.idle_watts = 100;
  load.clock_exponent = 2;
  load.window_seconds = 0.05;
  load.grade = Grade::fitted;
  load.source = "toy";
  load.works["gemm/bf16"] = {{16, 64, 256}, {500, 700, 1000}, {0, 0.5, 1}};
  return load;
}

// Work at 1,060 W: (700 - 100) / (1060 - 100) = 0.625, and its root is 0.790569. At the limit nothing
// happens.
TEST(LoadModel, ClockFallsUntilTheWorkFitsTheLimit) {
  EXPECT_NEAR(relative_clock(toy(), 1060), 0.790569, 1e-6);
  EXPECT_EQ(relative_clock(toy(), 700), 1);
  EXPECT_EQ(relative_clock(toy(), 300), 1);
}

// 128 lies half way between 64 and 256 in the logarithm: 850 W, 0.75. Outside, the ends hold.
TEST(LoadModel, DrawIsStraightInTheLogarithmOfTokens) {
  const LoadModel load = toy();
  const WorkLoad& work = load.works.at("gemm/bf16");
  EXPECT_NEAR(draw_of(work, 128).watts, 850, 1e-9);
  EXPECT_NEAR(draw_of(work, 128).clock_share, 0.75, 1e-12);
  EXPECT_EQ(draw_of(work, 1).watts, 500);
  EXPECT_EQ(draw_of(work, 1e6).watts, 1000);
  EXPECT_EQ(draw_of(work, 64).watts, 700);
}

TEST(LoadModel, ReadsWhatItWrites) {
  const LoadModel back = read_load_model(JsonValue::parse(load_model_json(toy()).dump(), "toy.json"));
  EXPECT_EQ(load_model_json(back), load_model_json(toy()));
}

std::string refusal(const std::function<void(nlohmann::ordered_json&)>& spoil) {
  nlohmann::ordered_json json = load_model_json(toy());
  spoil(json);
  try {
    read_load_model(JsonValue::parse(json.dump(), "toy.json"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(LoadModel, RefusesWhatCannotBe) {
  const auto names = [](const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
  };
  EXPECT_TRUE(names(refusal([](auto& j) { j["idle_watts"] = 900; }), "expected less than the limit of 700"));
  EXPECT_TRUE(names(refusal([](auto& j) {
                      j["works"]["gemm/bf16"]["watts"] = {1, 2};
                    }),
                    "found 2 values, expected 3"));
  EXPECT_TRUE(names(refusal([](auto& j) {
                      j["works"]["gemm/bf16"]["tokens"] = {16, 16, 20};
                    }),
                    "found 16 after 16, expected them to rise"));
  EXPECT_TRUE(names(refusal([](auto& j) {
                      j["works"]["gemm/bf16"]["clock_share"] = {0, 0, 1.5};
                    }),
                    "clock_share"));
}

}  // namespace
}  // namespace sextant
