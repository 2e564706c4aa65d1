#include "calibrate/measure/common/gpu_points.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "calibrate/measure/common/gpu_name.hpp"
#include "calibrate/measure/common/gpu_shapes.hpp"
#include "calibrate/measure/common/result_file.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

TEST(GpuName, DriversNamesFindTheCatalogue) {
  EXPECT_EQ(catalogue_gpu("NVIDIA H200"), "h200-sxm");
  EXPECT_EQ(catalogue_gpu("NVIDIA H100 80GB HBM3"), "h100-sxm");
  EXPECT_EQ(catalogue_gpu("NVIDIA H100 PCIe"), "h100-pcie");
  EXPECT_EQ(catalogue_gpu("NVIDIA L40S"), "l40s");
  EXPECT_EQ(catalogue_gpu("NVIDIA RTX PRO 6000 Blackwell Workstation Edition"), "rtx-pro-6000-workstation");
  EXPECT_EQ(catalogue_gpu("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition"), "rtx-pro-6000-max-q");
  EXPECT_THROW(catalogue_gpu("Some Other Device"), InputError);
}

TEST(GpuShapes, Llama8bIsThere) {
  // Llama 3.1 8B: hidden 4096, 32 heads and 8 KV heads of 128, intermediate 14336. tp 1: qkv 6144 x 4096,
  // gate and up 28672 x 4096; tp 2: down 4096 x 7168.
  const auto matrices = catalogue_matrices(false, false);
  const auto has = [&](std::int64_t n, std::int64_t k) {
    return std::find(matrices.begin(), matrices.end(), MatrixShape{n, k}) != matrices.end();
  };
  EXPECT_TRUE(has(6144, 4096));
  EXPECT_TRUE(has(28672, 4096));
  EXPECT_TRUE(has(4096, 7168));
  const auto heads = catalogue_heads(false);
  EXPECT_NE(std::find(heads.begin(), heads.end(), HeadShape{32, 8, 128}), heads.end());
}

TEST(GpuPoints, AnyPrefixCoversEveryFamily) {
  const std::vector<Point> points = gpu_points(Depth::quick, "h200-sxm", {});
  std::map<std::string, std::size_t> all, tenth;
  for (std::size_t i = 0; i < points.size(); ++i) {
    ++all[points[i].family];
    if (i < points.size() / 10) ++tenth[points[i].family];
  }
  for (const auto& [family, count] : all)
    if (count >= 10) {
      EXPECT_GE(tenth[family], count / 20) << family;
    }
}

TEST(GpuPoints, PointsAreDistinct) {
  std::set<std::string> seen;
  for (const Point& point : gpu_points(Depth::standard, "h200-sxm", {}))
    if (!std::holds_alternative<GemmRow>(point.measurement.row)) {
      EXPECT_TRUE(seen.insert(row_identity(point.measurement)).second) << row_identity(point.measurement);
    }
}

TEST(GpuPoints, FamiliesByPrefix) {
  for (const Point& point : gpu_points(Depth::quick, "h200-sxm", {"gemm"}))
    EXPECT_TRUE(std::holds_alternative<GemmRow>(point.measurement.row));
  EXPECT_THROW(gpu_points(Depth::quick, "h200-sxm", {"gem"}), InputError);
}

}  // namespace
}  // namespace sextant::measure
