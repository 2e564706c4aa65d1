#pragma once
#include "models/cost/cost.hpp"

namespace sextant {

/// tests/fixtures/gpu.toy.json: 100 TFLOP/s, 1000 GB/s, 5 us for every kernel; w4a16 80 TFLOP/s, 700 GB/s.
inline GpuProfile toy_gpu() {
  return read_gpu_profile(JsonValue::read(SEXTANT_SOURCE_DIR "/tests/fixtures/gpu.toy.json"));
}

/// all_reduce of two ranks: 10 us up to 10 kB, then 1 kB/us.
inline LinkProfile toy_link() {
  LinkProfile link;
  link.name = "toy-link";
  link.link = "pcie";
  link.line_gbps = 10;
  link.send = {Grade::measured, "test", {1e4, 1e6}, {10, 1000}, {0.9, 1.1}};
  link.collectives = {{"all_reduce", 2, {Grade::scaled, "test", {1e4, 1e6}, {10, 1000}, {0.5, 2}}}};
  return link;
}

/// Four heads on one KV head of 128, as in the toy profile's attention.
inline AttentionShape toy_attention(std::int64_t window = 0) {
  return {4, 1, 128, window, "bf16"};
}

/// A stage of two layers: one GEMM of 1000 x 1000, attention and one element-wise operator each; a head.
inline StageOperators toy_stage() {
  StageOperators stage;
  stage.gemms = {{{"bf16", 1000, 1000}, 2}};
  stage.attentions = {{toy_attention(), 2}};
  stage.elementwise = {{{"rmsnorm", 4e6}, 2}};
  stage.sample_gemms = {{{"bf16", 2000, 1000}, 1}};
  return stage;
}

}  // namespace sextant
