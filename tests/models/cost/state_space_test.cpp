#include "models/cost/state_space.hpp"

#include <gtest/gtest.h>

#include <array>

#include "models/profile/operator_rules.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

/// 4 heads of 8, a state of 16, 2 groups, 4 taps, chunks of 64: 32 inner values, 32 of B and C each, 96
/// channels, 512 values of state of 4 B.
StateSpaceShape small() {
  return {4, 8, 16, 2, 4, 64, 4};
}

// A token: 2 x 64 x 32 + 2 x 64 x 32 + 4 x 512 = 10,240 FLOPs of scan and 2 x 4 x 96 of convolution. It moves
// 3 x 96 + 32 + 4 values of 2 B; each of the 2 chunks of 100 tokens its state twice.
TEST(StateSpace, ScansPromptsInChunks) {
  const std::array<PrefillChunk, 1> prompt = {{{100, 5000}}};
  const OperatorWork work = state_space_prefill_work(small(), prompt);
  EXPECT_DOUBLE_EQ(work.flops, 100 * (10'240 + 768.0));
  EXPECT_DOUBLE_EQ(work.bytes, 100 * 324 * 2 + 2 * 2 * 512 * 4.0);
}

// Three sequences: each reads and writes 512 values of 4 B, three taps' inputs (and its own in and out) of 96
// channels and 32 values in and out of 2 B.
TEST(StateSpace, UpdatesOneStateASequence) {
  const OperatorWork work = state_space_decode_work(small(), 3);
  EXPECT_DOUBLE_EQ(work.bytes, 3 * (2 * 512 * 4 + 8 * 96 * 2 + 2 * 32 * 2.0));
  EXPECT_DOUBLE_EQ(work.flops, 3 * (6 * 512 + 2 * 4 * 96.0));
}

// The state of Super's Mamba layer is 4 MiB: a decode of 64 sequences reads and writes 512 MiB and more in
// each of 40 layers, whatever the context.
TEST(StateSpace, CostsTheSameAtAnyContext) {
  StageOperators stage;
  stage.state_spaces = {{{128, 64, 128, 8, 4, 128, 4}, 40}};
  const StageCost cost(stage, toy_gpu(), nullptr, 1);
  PassShape pass;
  pass.decodes = pass.samples = 64;
  pass.decode_context_sum = 64 * 100;
  const double near = cost.cost(pass)[Family::state_space];
  pass.decode_context_sum = 64 * 100'000;
  EXPECT_DOUBLE_EQ(cost.cost(pass)[Family::state_space], near);
  // At the shipped share of the toy's element-wise memory rate, 0.65 x 1000 GB/s: 64 x (2 x 4 MiB + 8 x 10240
  // x 2
  // + 2 x 8192 x 2) B = 549,453,824 B in 845.3 us; two kernels of 5 us beside it.
  EXPECT_NEAR(near * 1e6, 40 * (549'453'824 / 650e3 + 2 * toy_gpu().elementwise.roofline.latency_us), 1);
  EXPECT_EQ(cost.grade(), Grade::assumed);
}

TEST(StateSpace, IsBelievedWithinAWideInterval) {
  const OperatorModel model = state_space_decode_model(toy_gpu(), shipped_operator_rules().state_space);
  EXPECT_EQ(model.grade, Grade::assumed);
  EXPECT_LE(model.spread.low, 0.75);
  EXPECT_GE(model.spread.high, 1.6);
}

}  // namespace
}  // namespace sextant
