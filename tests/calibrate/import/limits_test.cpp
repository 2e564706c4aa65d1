#include <gmock/gmock.h>
#include <zlib.h>

#include "calibrate/import/duplicates.hpp"
#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/plausibility.hpp"
#include "tests/calibrate/import/import_fixture.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

const std::string header = "# source: a@1; latency in ms\nkernel_source,gemm_dtype,m,n,k,latency\n";

void import_gemm(const std::string& path, const ForeignOrigin&, ImportReport& report,
                 const MeasurementSink& sink) {
  import_gemm_table(path, {"h200-sxm", "nvlink"}, report, sink);
}

/// GEMMs of 8192 cubed and a little more: 1.1 ms at the data sheet's rate, `ms` here.
std::string rows(int number, const std::string& ms) {
  std::string text = header;
  for (int i = 0; i < number; ++i)
    text += "k,bfloat16," + std::to_string(8192 + i % 100) + ",8192,8192," + ms + "\n";
  return text;
}

TEST(BadRows, AreCountedWithTheFirstOfEachReason) {
  // Two of 300 rows are less than the 1 % that the limits allow; three more would not be.
  std::string text = rows(298, "1.5");
  text += "k,bfloat16,1,32,32,nan\nk,bfloat16,2,32,32,0\n";
  const Imported read = import_text(import_gemm, text);
  ASSERT_EQ(read.error, "");
  EXPECT_EQ(read.rows.size(), 298U);
  EXPECT_EQ(read.report.read, 300);
  EXPECT_EQ(read.report.excluded_rows(), 2);
  EXPECT_THAT(read.report.text(),
              HasSubstr("298 of 300 rows passed on: 298 gemm\nexcluded 2 of 300 rows:\n"));
  EXPECT_THAT(read.report.text(),
              HasSubstr(":301: column 'latency': found 'nan', expected a number above 0)"));
  EXPECT_THAT(read.report.text(), HasSubstr("1 zero (first "));
  text += "k,bfloat16,3,32,32,-1\nk,bfloat16,4,32,32,inf\nk,bfloat16,5,32,32,\n";
  EXPECT_THAT(import_text(import_gemm, text).error,
              HasSubstr("found 5 of 303 rows without a usable number (first "));
}

TEST(BadRows, ANumberWithAUnitIsRefused) {
  EXPECT_THAT(import_text(import_gemm, rows(300, "1.5") + "k,bfloat16,1,32,32,1.5us\n").error,
              HasSubstr(":303: column 'latency': found '1.5us', expected a number above 0"));
}

TEST(Repeats, AreCountedAndCompared) {
  // The same three shapes once more: two alike, one 20 % slower.
  std::string text = rows(3, "1.5");
  text += "k,bfloat16,8192,8192,8192,1.5\nk,bfloat16,8193,8192,8192,1.6\nk,bfloat16,8194,8192,8192,1.8\n";
  const Imported read = import_text(import_gemm, text);
  ASSERT_EQ(read.error, "");
  EXPECT_EQ(read.rows.size(), 6U);
  EXPECT_EQ(read.report.repeated, 3);
  EXPECT_EQ(read.report.disagreeing, 1);
  EXPECT_THAT(read.report.text(),
              HasSubstr("3 rows repeat what an earlier one measures, 1 disagree (first "));
  EXPECT_THAT(read.report.text(), HasSubstr(":8: column 'latency': 1800 and earlier 1500)"));
}

TEST(Repeats, AFinderKeepsTheFirstTime) {
  DuplicateFinder finder;
  for (std::uint64_t row = 1; row <= 100000; ++row) EXPECT_EQ(finder.look(row, 2.5), 0);
  EXPECT_EQ(finder.size(), 100000U);
  for (std::uint64_t row = 1; row <= 100000; ++row) EXPECT_EQ(finder.look(row, 3), 2.5);
  // 24 bits of a float: five digits of a time remain.
  finder.look(0, 1234.5678);
  EXPECT_NEAR(finder.look(0, 1), 1234.5678, 0.05);
}

TEST(Units, SecondsForMillisecondsAreImpossible) {
  // 2 x 8192^3 = 1.1e12 operations at 989 TFLOP/s take 1112 us; 1.3 times the peak 855 us.
  EXPECT_THAT(import_text(import_gemm, rows(1, "0.0015")).error,
              HasSubstr(":3: column 'latency': found 1.5 us, expected at least 855.185 us by the data sheet "
                        "of h200-sxm; is "
                        "it in another unit?"));
  EXPECT_THAT(import_text(import_gemm, header + "k,bfloat16,1,32,32,0.0000024\n").error,
              HasSubstr("found 0.0024 us, expected at least 0.5 us for any kernel"));
}

TEST(Units, MicrosecondsForMillisecondsAreRefused) {
  // 1.5 s for what takes 1.1 ms: below 0.7 % of the data sheet's rate.
  EXPECT_THAT(import_text(import_gemm, rows(1, "1500")).error,
              HasSubstr(":3: column 'latency': found 1.5e+06 us, expected at most 158820 us"));
}

TEST(Units, ATableWithoutOneGoodRowIsRefused) {
  // Each row reaches 1.5 % of the data sheet's rate, which a single one may, but not all of 25.
  EXPECT_EQ(import_text(import_gemm, rows(19, "75")).error, "");
  EXPECT_THAT(
      import_text(import_gemm, rows(25, "75")).error,
      HasSubstr(
          "found no row that reaches more than 1.49 % of the data sheet of h200-sxm, expected 3 % of some"));
}

TEST(Units, DataThatFitsTheL2MayComeFromIt) {
  // 4096 x 4096 bf16 weights are 33.6 MB, less than the 52.4 MB of the L2; twice as many rows are 67 MB, of
  // which 14.8 MB (and 8 + 16 KB) must come from memory: 3.09 us at 4800 GB/s.
  const Plausibility limits("h200-sxm", shipped_import_limits());
  EXPECT_LT(limits.least_us(GemmRow{"bf16", 1, 4096, 4096, 9}), 0.1);
  EXPECT_NEAR(limits.least_us(GemmRow{"bf16", 1, 8192, 4096, 9}), 3.06, 0.02);
  // Of a GPU whose L2 is not known, the largest of any part's is taken: 134 MB.
  EXPECT_LT(Plausibility("l40s", shipped_import_limits()).least_us(GemmRow{"bf16", 1, 8192, 4096, 9}), 0.5);
  EXPECT_EQ(
      Plausibility("unheard-of", shipped_import_limits()).least_us(GemmRow{"bf16", 8192, 8192, 8192, 9}), 0);
}

TEST(Units, WindowsAndLatentAttentionAreCounted) {
  const Plausibility limits("h200-sxm", shipped_import_limits());
  // 4096 tokens with a window of 128: 128 x 129 / 2 + 3968 x 128 = 516,160 pairs, x 4 x 128 wide x 64 heads.
  const AttentionPrefillRow windowed{64, 8, 128, 1, 4096, 0, "bf16", "bf16", 9, 128};
  EXPECT_NEAR(limits.least_us(windowed), 516160.0 * 4 * 128 * 64 / 989e6, 0.01);
  // 2048 x 2049 / 2 pairs of 128 heads, 192 wide for keys and 128 for values.
  const MlaPrefillRow prefill{128, 1, 2048, 0, "bf16", "bf16", false, "", 1, 9};
  EXPECT_NEAR(limits.least_us(prefill), 2048.0 * 2049 / 2 * 128 * 2 * 320 / 989e6, 0.01);
  // 64 x 65536 cached tokens of 576 x 2 B, less the L2, at 4800 GB/s: 996 us; 16 heads' arithmetic takes 148
  // us.
  const MlaDecodeRow decode{16, 64, 65536, "bf16", "bf16", false, "", 1, 9};
  EXPECT_NEAR(limits.least_us(decode), (64 * 65536.0 * 576 * 2 - 52428800) / 4.8e6, 0.01);
}

TEST(BadFiles, ATruncatedGzipIsRefused) {
  const std::string path = testing::TempDir() + "truncated.csv.gz";
  const std::string text = rows(20000, "1.5");
  gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  EXPECT_THAT(import_file(import_gemm, path, {}).error,
              HasSubstr("truncated or corrupt gzip data, after line "));
  std::filesystem::remove(path);
}

// All of the published tables pass their own limits; none has a bad row.
TEST(RealTables, AreAllPlausible) {
  const char* given = std::getenv("SEXTANT_SHARED");
  const std::filesystem::path folder =
      (given ? std::filesystem::path(given) : std::filesystem::path(SEXTANT_SOURCE_DIR) / ".." / "shared") /
      "data/kernel-tables";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no kernel tables here";
  ImportReport report;
  import_kernel_tables((folder / "l40s").string(), {"l40s", "pcie"}, report, [](const Measurement&) {});
  EXPECT_EQ(report.excluded_rows(), 0);
  EXPECT_EQ(report.passed.at("moe"), 48317);
  EXPECT_EQ(report.passed.at("mla_decode"), 1401 + 2656);
}

}  // namespace
}  // namespace sextant
