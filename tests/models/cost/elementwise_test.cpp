// Small kernels that were measured by themselves, and the rest by bytes alone.
#include <gtest/gtest.h>

#include "models/cost/operator_work.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

// rmsnorm of its own: 2 us and 2 MB over 1000 GB/s at half the rate: 2 + 2 / 0.5 = 6 us. rope has none: 5 us
// of the general model and 4 MB at its full rate: 9 us.
TEST(Elementwise, HasItsOwnModelWhereMeasured) {
  GpuProfile gpu = toy_gpu();
  gpu.elementwise_ops["rmsnorm"].roofline = {0, 1000, 2};
  gpu.elementwise_ops["rmsnorm"].efficiency = Grid({{1, 100}, {2e4}}, {0.1, 0.5});
  EXPECT_NEAR(elementwise_time(gpu, {"rmsnorm", 2e4}, 100).seconds, 6e-6, 1e-12);
  EXPECT_NEAR(elementwise_time(gpu, {"rope", 4e4}, 100).seconds, 9e-6, 1e-12);
}

// Bytes a value as a stage's operators count them; sampling: 2 read, 4 written, 4 read in two kernels.
TEST(Elementwise, RowsMoveWhatStagesCount) {
  EXPECT_EQ(elementwise_moves("rmsnorm")->bytes_per_value, 8);
  EXPECT_EQ(elementwise_moves("activation")->bytes_per_value, 6);
  EXPECT_EQ(elementwise_moves("rope")->bytes_per_value, 4);
  EXPECT_EQ(elementwise_moves("sampling")->bytes_per_value, 10);
  EXPECT_EQ(elementwise_moves("sampling")->kernels, 2);
  EXPECT_FALSE(elementwise_moves("graph_kernel").has_value());
}

}  // namespace
}  // namespace sextant
