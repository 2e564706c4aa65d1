#include "calibrate/measure/common/result_file.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"

namespace sextant::measure {
namespace {

Measurement gemm(std::int64_t m, double us) {
  GemmRow row;
  row.dtype = "bf16";
  row.m = m;
  row.n = 4096;
  row.k = 4096;
  row.us = us;
  return {"h200-sxm", "test", "", row};
}

class ResultFileTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "result_" + testing::UnitTest::GetInstance()->current_test_info()->name() +
            ".jsonl";
    std::filesystem::remove(path_);
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::string path_;
};

TEST_F(ResultFileTest, NeverOverwrites) {
  { ResultFile file(path_, ResultFile::Existing::refuse); }
  try {
    ResultFile again(path_, ResultFile::Existing::refuse);
    FAIL() << "expected an InputError";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("--resume"), std::string::npos) << error.what();
  }
}

TEST_F(ResultFileTest, RowsAreOnDiskAtOnce) {
  ResultFile file(path_, ResultFile::Existing::refuse);
  file.append_line(R"({"kind":"context"})");
  file.append(gemm(1, 5));
  int rows = 0;
  for_each_measurement(path_, [&](const Measurement&, std::size_t) { ++rows; });
  EXPECT_EQ(rows, 2);
  EXPECT_EQ(file.appended(), 1U);
}

TEST_F(ResultFileTest, ResumeKeepsRowsAndCutsHalfALine) {
  {
    ResultFile file(path_, ResultFile::Existing::refuse);
    file.append(gemm(1, 5));
    file.append(gemm(2, 6));
  }
  std::ofstream(path_, std::ios::app) << R"({"kind":"gemm","gpu)";
  ResultFile file(path_, ResultFile::Existing::resume);
  EXPECT_EQ(file.resumed(), 2U);
  // The time is not part of what a point is.
  EXPECT_TRUE(file.has(gemm(2, 99)));
  EXPECT_FALSE(file.has(gemm(3, 6)));
  file.append(gemm(3, 7));
  EXPECT_TRUE(file.has(gemm(3, 0)));
  int rows = 0;
  for_each_measurement(path_, [&](const Measurement&, std::size_t) { ++rows; });
  EXPECT_EQ(rows, 3);
}

TEST_F(ResultFileTest, ResumeRefusesAForeignFile) {
  std::ofstream(path_) << "not a measurement\n";
  EXPECT_THROW(ResultFile(path_, ResultFile::Existing::resume), InputError);
  EXPECT_EQ(read_text_file(path_), "not a measurement\n");
}

TEST_F(ResultFileTest, ResumeWithoutAFileStartsOne) {
  ResultFile file(path_, ResultFile::Existing::resume);
  EXPECT_EQ(file.resumed(), 0U);
  file.append(gemm(1, 5));
  EXPECT_TRUE(std::filesystem::exists(path_));
}

}  // namespace
}  // namespace sextant::measure
