#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "calibrate/fit/operator_fit.hpp"
#include "models/base/text_file.hpp"

namespace sextant {
namespace {

std::filesystem::path shared_folder() {
  const char* given = std::getenv("SEXTANT_SHARED");
  return given != nullptr ? std::filesystem::path(given)
                          : std::filesystem::path(SEXTANT_SOURCE_DIR) / ".." / "shared";
}

/// The bf16 rows of a table, read by hand: the importer is another library.
std::vector<FitSample> bf16_gemms(const std::string& path) {
  std::vector<FitSample> samples;
  for_each_line(path, [&](std::string_view line, std::size_t) {
    long long m = 0, n = 0, k = 0;
    double ms = 0;
    const std::string text(line);
    const std::size_t at = text.find(",bfloat16,");
    if (at == std::string::npos ||
        std::sscanf(text.c_str() + at, ",bfloat16,%lld,%lld,%lld,%lf", &m, &n, &k, &ms) != 4)
      return;
    samples.push_back(sample_of(GemmRow{"bf16", m, n, k, ms * 1000}));
  });
  return samples;
}

TEST(RealTables, GemmOfTheRtxPro6000Server) {
  const auto path = shared_folder() / "data/kernel-tables/rtx_pro_6000_server/gemm_perf.csv.gz";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no kernel tables here";
  OperatorFitOptions options;
  options.family = "gemm bf16";
  const std::vector<double> widths = {128, 512, 1024, 2048, 3072, 4096, 6144, 8192, 12288, 16384, 51200};
  options.axes = {
      {4, 16, 17, 32, 64, 65, 128, 129, 256, 257, 512, 1024, 2048, 4096, 8192, 16384}, widths, widths};
  options.l2_bytes = 134217728;
  options.folds = 0;
  FitReportLine line;
  const OperatorModel model = fit_operator(bf16_gemms(path.string()), options, line);
  // DRAM gives 1597 GB/s at most, and streaming reaches nine tenths or more; 458.8 TFLOP/s is the table's
  // best row.
  EXPECT_GT(model.roofline.memory_gbps, 0.9 * 1597);
  EXPECT_LT(model.roofline.memory_gbps, 1597);
  EXPECT_LT(model.roofline.tflops, 458.8);
  EXPECT_GT(model.roofline.tflops, 400);
  // Neighbouring widths differ by the waves and tiles of their kernels, 5 to 10 %; half of the table's n and
  // k and a fifth of its m are grid points, so the median lies well below that and one row in ten above it.
  EXPECT_LT(line.fitted.median, 0.035);
  EXPECT_LT(line.fitted.p90, 0.13);
  EXPECT_GT(line.floored, 0U);
}

}  // namespace
}  // namespace sextant
