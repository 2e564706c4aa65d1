#include "models/profile/gpu_profile.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "models/profile/assumptions.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

const std::string toy_path = SEXTANT_SOURCE_DIR "/tests/fixtures/gpu.toy.json";
GpuProfile toy() {
  return read_gpu_profile(JsonValue::read(toy_path));
}

/// The toy file with a piece of its text exchanged.
JsonValue edited(const std::string& from, const std::string& to) {
  std::string text = read_text_file(toy_path);
  text.replace(text.find(from), from.size(), to);
  return JsonValue::parse(text, "toy.json");
}

std::string message(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(GpuProfile, ReadsEveryField) {
  const GpuProfile profile = toy();
  EXPECT_EQ(profile.gpu, "toy");
  const OperatorModel& gemm = profile.gemm.at("bf16");
  EXPECT_EQ(gemm.grade, Grade::fitted);
  EXPECT_EQ(gemm.roofline.tflops, 100);
  EXPECT_EQ(gemm.roofline.latency_us, 5);
  EXPECT_EQ(gemm.bytes_per_weight, 2);
  EXPECT_EQ(gemm.spread.high, 1.25);
  EXPECT_EQ(gemm.median_error, 0.02);
  EXPECT_TRUE(gemm.efficiency.empty());
  EXPECT_EQ(profile.moe.at("w4a16_mxfp4/power_law").bytes_per_weight, 0.53125);
  EXPECT_EQ(profile.attention_decode.at("bf16/128").roofline.tflops, 0);
  EXPECT_EQ(profile.elementwise.efficiency.values(), (std::vector<double>{0.5, 1}));
}

TEST(GpuProfile, MayHoldNoRoutedExperts) {
  GpuProfile profile = toy();
  profile.moe.clear();
  const std::string text = write_gpu_profile(profile);
  EXPECT_EQ(text.find("moe"), std::string::npos);
  EXPECT_TRUE(read_gpu_profile(JsonValue::parse(text, "written")).moe.empty());
}

TEST(GpuProfile, WritesWhatItReads) {
  GpuProfile profile = toy();
  profile.gemm.at("bf16").efficiency = Grid({{1, 16}, {4096, 65536}, {128}}, {0.5, 0.123456, 0.75, 1});
  const std::string text = write_gpu_profile(profile);
  const GpuProfile again = read_gpu_profile(JsonValue::parse(text, "written"));
  EXPECT_EQ(write_gpu_profile(again), text);
  EXPECT_EQ(again.gemm.at("bf16").efficiency.axes(), profile.gemm.at("bf16").efficiency.axes());
  EXPECT_EQ(again.gemm.at("bf16").efficiency.values()[1], 0.123);     // four digits
  EXPECT_THAT(text, HasSubstr("\"values\": [0.5, 0.123, 0.75, 1]"));  // tables stay on one line
}

TEST(GpuProfile, MayStandForAnother) {
  const auto base = [](const std::string& name) {
    GpuProfile profile = toy();
    profile.provenance = "made of " + name;
    return profile;
  };
  const auto read = [&](const std::string& other) {
    return read_gpu_profile(
        JsonValue::parse(R"({"format": "sextant gpu profile", "version": 1, "gpu": "card", "same_as": ")" +
                             other + R"(", "provenance": "for now"})",
                         "alias"),
        base);
  };
  const GpuProfile profile = read("card-tables");
  EXPECT_EQ(profile.gpu, "card");
  EXPECT_EQ(profile.provenance, "for now; made of card-tables");
  EXPECT_EQ(profile.gemm.at("bf16").roofline.tflops, 100);
  EXPECT_THROW(read("card"), InputError);
}

TEST(GpuProfile, NamesWhatIsWrong) {
  EXPECT_THAT(message([] { read_gpu_profile(edited("\"spread\": [0.8, 1.25]", "\"spred\": [0.8, 1.25]")); }),
              HasSubstr("toy.json: gemm.bf16: found the unknown key 'spred', did you mean 'spread'"));
  EXPECT_THAT(message([] { read_gpu_profile(edited("[0.8, 1.25]", "[1.1, 1.25]")); }),
              HasSubstr("gemm.bf16.spread: found [1.1,1.25], expected [low, high]"));
  EXPECT_THAT(message([] { read_gpu_profile(edited("\"memory_gbps\": 1000", "\"memory_gbps\": 0")); }),
              HasSubstr("gemm.bf16.roofline.memory_gbps: found 0, expected a number above 0"));
  EXPECT_THAT(message([] { read_gpu_profile(edited("\"version\": 1", "\"version\": 2")); }),
              HasSubstr("toy.json: version: found version 2, expected 1"));
  EXPECT_THAT(message([] { read_gpu_profile(edited("gpu profile", "link profile")); }),
              HasSubstr("format: found \"sextant link profile\", expected \"sextant gpu profile\""));
  EXPECT_THAT(
      message([] { read_gpu_profile(edited("[[1000000, 4000000]]", "[[4000000, 1000000]]")); }),
      HasSubstr("elementwise.efficiency: axis 0 goes from 4000000 to 1000000, expected it to increase"));
  EXPECT_THAT(message([] { read_gpu_profile(edited("[[1000000, 4000000]]", "[[1, 2], [1]]")); }),
              HasSubstr("elementwise.efficiency.axes: found 2 axes, expected 1"));
  EXPECT_THAT(message([] { find_gpu_profile("rtx-pro-6000-workstaton"); }),
              HasSubstr("did you mean 'rtx-pro-6000-workstation'"));
}

const char* const scaled_text = R"({
  "format": "sextant gpu profile", "version": 1, "gpu": "half-toy", "scaled_from": "toy", "provenance": "test",
  "scale": {"tensor": {"value": 0.5, "grade": "measured", "source": "s"},
            "tensor_by_type": {"w4a16": {"value": 0.25, "grade": "measured", "source": "s"}},
            "memory": {"value": 2, "grade": "GRADE", "source": "s"},
            "latency": {"value": 1.2, "grade": "scaled", "source": "s"}},
  "spread_widening": {"value": 1.6, "grade": "assumed", "source": "s"}})";

GpuProfile read_scaled(const std::string& memory_grade) {
  std::string text = scaled_text;
  text.replace(text.find("GRADE"), 5, memory_grade);
  return read_gpu_profile(JsonValue::parse(text, "scaled"), [](const std::string& name) {
    EXPECT_EQ(name, "toy");
    return toy();
  });
}

TEST(ScaledProfile, MultipliesRooflinesAndWidensSpreads) {
  const GpuProfile profile = read_scaled("measured");
  EXPECT_EQ(profile.gpu, "half-toy");
  EXPECT_EQ(profile.scaled_from, "toy");
  const OperatorModel& gemm = profile.gemm.at("bf16");
  EXPECT_DOUBLE_EQ(gemm.roofline.tflops, 50);                      // 100 x 0.5
  EXPECT_DOUBLE_EQ(profile.gemm.at("w4a16").roofline.tflops, 20);  // 80 x 0.25
  EXPECT_DOUBLE_EQ(gemm.roofline.memory_gbps, 2000);               // 1000 x 2
  EXPECT_DOUBLE_EQ(gemm.roofline.latency_us, 6);                   // 5 x 1.2
  EXPECT_DOUBLE_EQ(gemm.spread.low, 0.5);                          // 0.8 / 1.6
  EXPECT_DOUBLE_EQ(gemm.spread.high, 2);                           // 1.25 x 1.6
  EXPECT_EQ(gemm.bytes_per_weight, 2);
  EXPECT_FALSE(gemm.median_error);  // the fit's residual is not this GPU's
}

// 100 x 0.5 TFLOP/s; 1000 x 2 GB/s.
TEST(ScaledProfile, ScalesRoutedExpertsToo) {
  const OperatorModel moe = read_scaled("measured").moe.at("bf16/power_law");
  EXPECT_DOUBLE_EQ(moe.roofline.tflops, 50);
  EXPECT_DOUBLE_EQ(moe.roofline.memory_gbps, 2000);
  EXPECT_EQ(moe.grade, Grade::scaled);
}

TEST(ScaledProfile, GradeIsScaledOrTheRatiosIfWeaker) {
  EXPECT_EQ(read_scaled("measured").gemm.at("bf16").grade, Grade::scaled);
  EXPECT_EQ(read_scaled("assumed").gemm.at("bf16").grade, Grade::assumed);
  EXPECT_EQ(read_scaled("measured").gemm.at("w4a16").grade, Grade::assumed);  // its own already was
}

TEST(ScaledProfile, RefusesItself) {
  std::string text = scaled_text;
  text.replace(text.find("half-toy"), 8, "toy");
  text.replace(text.find("GRADE"), 5, "measured");
  EXPECT_THAT(message([&] { read_gpu_profile(JsonValue::parse(text, "f")); }),
              HasSubstr("f: scaled_from: found \"toy\", expected another profile than its own"));
}

/// By its card alone, or as the card's profile from tables, which stands beside another.
bool is_named_after(const std::string& path, const std::string& gpu) {
  const std::string name = "calibrate/profiles/gpu." + gpu;
  return path == name + ".json" || path == name + "-tables.json";
}

TEST(ScaledProfile, EveryShippedFileIsWellFormed) {
  for (const EmbeddedFile& file : embedded_files("calibrate/profiles/gpu.")) {
    const std::string path(file.path);
    const GpuProfile profile =
        read_gpu_profile(JsonValue::parse(file.content, path), [](const std::string&) { return toy(); });
    EXPECT_TRUE(is_named_after(path, profile.gpu)) << path;
  }
}

TEST(GpuProfile, EveryShippedOneReads) {
  std::size_t count = 0;
  const std::string prefix = "calibrate/profiles/gpu.";
  for (const EmbeddedFile& file : embedded_files(prefix)) {
    const std::string path(file.path);
    const GpuProfile profile = find_gpu_profile(path.substr(prefix.size(), path.size() - prefix.size() - 5));
    EXPECT_TRUE(is_named_after(path, profile.gpu)) << path;
    EXPECT_TRUE(profile.gemm.contains("bf16")) << path;
    EXPECT_FALSE(profile.provenance.empty()) << path;
    ++count;
  }
  EXPECT_GE(count, 4u);
}

TEST(Assumptions, MakeAWeightOnlyGemmFromTheBf16One) {
  const Assumptions rules = shipped_assumptions();
  const OperatorModel model = assumed_w4a16(toy().gemm.at("bf16"), rules);
  EXPECT_EQ(model.grade, Grade::assumed);
  EXPECT_DOUBLE_EQ(model.roofline.memory_gbps, 1000 * rules.w4a16_memory.figure.value);
  EXPECT_DOUBLE_EQ(model.roofline.tflops, 100 * rules.w4a16_tensor.figure.value);
  EXPECT_DOUBLE_EQ(model.bytes_per_weight,
                   (4 + 20.0 / 128) / 8);  // AWQ: 16-bit scale and 4-bit zero for 128 weights
  // The wider of memory 0.70 / [0.90, 0.55] = [0.778, 1.273] and arithmetic 0.80 / [0.95, 0.60] =
  // [0.842, 1.333].
  EXPECT_NEAR(model.spread.low, 0.70 / 0.90, 1e-12);
  EXPECT_NEAR(model.spread.high, 0.80 / 0.60, 1e-12);
}

}  // namespace
}  // namespace sextant
