#include "reports/names.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

TEST(Names, MetricsReadAsVllmPrintsThem) {
  EXPECT_EQ(metric_label("p99_ttft_ms"), "P99 TTFT (ms)");
  EXPECT_EQ(metric_label("median_e2el_ms"), "Median E2EL (ms)");
  EXPECT_EQ(metric_label("output_throughput"), "Output token throughput (tok/s)");
  EXPECT_EQ(metric_label("something"), "something");
}

TEST(Names, DevicesFoldIntoRuns) {
  EXPECT_EQ(device_list({}), "");
  EXPECT_EQ(device_list({"node-a/gpu0"}), "node-a/gpu0");
  EXPECT_EQ(device_list({"node-a/gpu0", "node-a/gpu1", "node-b/gpu0"}), "node-a/gpu0-1, node-b/gpu0");
  EXPECT_EQ(device_list({"node-a/gpu0", "node-a/gpu2"}), "node-a/gpu0, node-a/gpu2");
  EXPECT_EQ(device_list({"left", "right"}), "left, right");
  EXPECT_EQ(device_list({"gpu99999999999999999999", "gpu1"}), "gpu99999999999999999999, gpu1");
}

TEST(Names, UnknownDevicesHaveTheirNumber) {
  EXPECT_EQ(device_name({}, 7), "device 7");
}

TEST(Names, ManyStagesFold) {
  Layout layout{1, 8, 1, {{}}};
  for (const LayerRange& range : ranges({16, 16, 16, 16, 16, 16, 16, 14}))
    layout.replicas[0].push_back({range, {}});
  EXPECT_EQ(split_text(layout), "16 x7/14");
  layout.replicas[0].resize(3);
  EXPECT_EQ(split_text(layout), "16/16/16");
}

}  // namespace
}  // namespace sextant
