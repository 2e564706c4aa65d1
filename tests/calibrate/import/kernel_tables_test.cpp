#include "calibrate/import/kernel_tables.hpp"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>

#include "models/base/error.hpp"

namespace sextant {
namespace {

const std::string comment = "# source: someone@1; latency in ms\n";

class KernelTables : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = (folder_ / name).string();
    std::ofstream(path) << text;
    return path;
  }
  std::vector<Measurement> read() {
    std::vector<Measurement> rows;
    import_kernel_tables(folder_.string(), {"h200-sxm", "nvlink"},
                         [&](const Measurement& row) { rows.push_back(row); });
    return rows;
  }
  void expect_error(const std::string& part) {
    try {
      read();
      FAIL() << "expected an InputError with '" << part << "'";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  }
  std::filesystem::path folder_;
};

TEST_F(KernelTables, ReadsGemmByColumnName) {
  // Columns in another order than the project's; 0.5 ms = 500 us.
  write("gemm_perf.csv",
        comment + "latency,gemm_dtype,kernel_source,k,n,m\n0.5,bfloat16,cublas,4096,8192,16\n");
  const auto rows = read();
  ASSERT_EQ(rows.size(), 1U);
  const auto& row = std::get<GemmRow>(rows[0].row);
  EXPECT_EQ(row.dtype, "bf16");
  EXPECT_EQ(row.m, 16);
  EXPECT_EQ(row.n, 8192);
  EXPECT_EQ(row.k, 4096);
  EXPECT_DOUBLE_EQ(row.us, 500);
  EXPECT_EQ(rows[0].source, "someone@1");
  EXPECT_EQ(rows[0].gpu, "h200-sxm");
}

TEST_F(KernelTables, ReadsGzip) {
  const std::string text = comment + "kernel_source,gemm_dtype,m,n,k,latency\nx,nvfp4,1,32,32,0.006\n";
  gzFile file = gzopen((folder_ / "gemm_perf.csv.gz").c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  EXPECT_EQ(std::get<GemmRow>(read().at(0).row).dtype, "nvfp4");
}

const std::string attention_header =
    "kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,"
    "window_size,latency\n";

TEST_F(KernelTables, DecodeContextCountsTheNewToken) {
  // 2047 cached and one new token: 2048 to attend to.
  write("generation_attention_perf.csv", attention_header + "fa,32,1,64,8,128,bfloat16,fp8,2047,0,0.2\n");
  const auto row = std::get<AttentionDecodeRow>(read().at(0).row);
  EXPECT_EQ(row.context, 2048);
  EXPECT_EQ(row.kv_dtype, "fp8");
  EXPECT_EQ(row.kv_heads, 8);
}

TEST_F(KernelTables, PrefillHasNoPast) {
  write("context_attention_perf.csv", attention_header + "fa,4,512,64,8,128,bfloat16,bfloat16,0,128,0.2\n");
  const auto row = std::get<AttentionPrefillRow>(read().at(0).row);
  EXPECT_EQ(row.new_tokens, 512);
  EXPECT_EQ(row.past_tokens, 0);
  EXPECT_EQ(row.window, 128);
}

// Tables of vLLM 0.14 (A100) have no window_size: their rows are of full attention.
TEST_F(KernelTables, AttentionWithoutAWindowColumnIsFull) {
  write("generation_attention_perf.csv",
        "kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,attn_dtype,kv_cache_dtype,step,"
        "latency\n"
        "fa,32,1,64,8,128,bfloat16,bfloat16,2047,0.2\n");
  EXPECT_EQ(std::get<AttentionDecodeRow>(read().at(0).row).window, 0);
}

TEST_F(KernelTables, RefusesAPastInPrefill) {
  write("context_attention_perf.csv", attention_header + "fa,4,512,64,8,128,bfloat16,bfloat16,16,0,0.2\n");
  expect_error("context_attention_perf.csv:2: column 'step': found 16, expected 0");
}

TEST_F(KernelTables, RefusesHeadsThatDoNotDivide) {
  write("context_attention_perf.csv", attention_header + "fa,4,512,64,7,128,bfloat16,bfloat16,0,0,0.2\n");
  expect_error("column 'num_key_value_heads': found 7 for 64 heads");
}

TEST_F(KernelTables, RefusesTwoNewTokensInDecode) {
  write("generation_attention_perf.csv", attention_header + "fa,4,2,64,8,128,bfloat16,bfloat16,15,0,0.2\n");
  expect_error("column 'isl': found 2, expected 1 new token");
}

TEST_F(KernelTables, MessageSizeIsInElements) {
  // half has 2 bytes, int8 one: 256 elements are 512 and 256 bytes.
  write("nccl_perf.csv",
        "op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency\nalltoall,NCCL,half,2,256,0.005\n"
        "all_reduce,NCCL,int8,8,256,0.006\n");
  const auto rows = read();
  const auto &first = std::get<CollectiveRow>(rows.at(0).row),
             &second = std::get<CollectiveRow>(rows.at(1).row);
  EXPECT_EQ(first.op, "all_to_all");
  EXPECT_EQ(first.dtype, "fp16");
  EXPECT_DOUBLE_EQ(first.bytes, 512);
  EXPECT_EQ(first.link, "nvlink");
  EXPECT_DOUBLE_EQ(second.bytes, 256);
  EXPECT_EQ(second.ranks, 8);
  EXPECT_DOUBLE_EQ(second.us, 6);
}

// 5e8 halves are 1e9 bytes; of 8 ranks in 4 ms 250 GB/s x 14 / 8 = 437.5 GB/s, in 5 ms 350. A ring over this
// link carries 370: only a switch that reduces is faster. An all-gather of 437.5 is not judged.
TEST_F(KernelTables, MarksWhatTheSwitchReduced) {
  write("nccl_perf.csv",
        "op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency\n"
        "all_reduce,NCCL,half,8,500000000,4\n"
        "all_reduce,NCCL,half,8,500000000,5\n"
        "all_gather,NCCL,half,8,500000000,2\n");
  for (const double ring_gbps : {370.0, 0.0}) {
    std::vector<std::optional<bool>> marks;
    import_kernel_tables(folder_.string(), {"h200-sxm", "nvlink", ring_gbps}, [&](const Measurement& row) {
      marks.push_back(std::get<CollectiveRow>(row.row).nvls);
    });
    ASSERT_EQ(marks.size(), 3U);
    EXPECT_EQ(marks[0].value_or(false), ring_gbps > 0) << "unknown: nothing is marked";
    EXPECT_FALSE(marks[1].value_or(false));
    EXPECT_FALSE(marks[2].value_or(false));
  }
}

TEST_F(KernelTables, CustomAllReduceKeepsGraphRowsOnly) {
  write("custom_allreduce_perf.csv",
        "kernel_source,allreduce_dtype,num_gpus,message_size,latency,backend\nc,bfloat16,2,128,0.004,vllm_"
        "graph\n"
        "c,bfloat16,2,128,0.021,vllm_eager\n");
  const auto rows = read();
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(std::get<CollectiveRow>(rows[0].row).impl, "custom");
  EXPECT_DOUBLE_EQ(std::get<CollectiveRow>(rows[0].row).us, 4);
}

TEST_F(KernelTables, BadNumbersNameFileRowAndColumn) {
  const std::string header = comment + "kernel_source,gemm_dtype,m,n,k,latency\nx,fp8,1,32,32,0.1\n";
  for (const std::string cell : {"nan", "0", "-0.1", "inf", "", "0.1ms", "1e999"}) {
    write("gemm_perf.csv", header + "x,fp8,1,32,32," + cell + "\n");
    expect_error("gemm_perf.csv:4: column 'latency': found '" + cell + "', expected a number above 0");
  }
  for (const std::string cell : {"0", "-1", "1.5", "many"}) {
    write("gemm_perf.csv", header + "x,fp8," + cell + ",32,32,0.1\n");
    expect_error("gemm_perf.csv:4: column 'm': found '" + cell + "', expected a whole number of at least 1");
  }
}

TEST_F(KernelTables, BadTablesAreNamed) {
  write("gemm_perf.csv", "kernel_source,gemm_dtyp,m,n,k,latency\n");
  expect_error("expected 'gemm_dtype' among them, did you mean 'gemm_dtyp'");
  write("gemm_perf.csv", "kernel_source,gemm_dtype,m,n,k,m,latency\n");
  expect_error("found the column 'm' twice");
  write("gemm_perf.csv", "kernel_source,gemm_dtype,m,n,k,latency\nx,fp8,1,32,0.1\n");
  expect_error("gemm_perf.csv:2: found 5 cells, expected 6 as in the header");
  write("gemm_perf.csv", "kernel_source,gemm_dtype,m,n,k,latency\nx,fp7,1,32,32,0.1\n");
  expect_error("column 'gemm_dtype': found the type 'fp7'");
  write("gemm_perf.csv", comment);
  expect_error("found no header");
}

TEST_F(KernelTables, RefusesAnEmptyFolder) {
  expect_error("found no kernel table");
}

TEST(KernelTablesFolder, NamesTheRepositoryOfASource) {
  EXPECT_EQ(table_repository("owner/name@1f2e systems/gemm.parquet (Apache-2.0)"),
            "owner/name@1f2e (Apache-2.0)");
  EXPECT_EQ(table_repository("owner/name@1f2e systems/gemm.parquet"), "owner/name@1f2e");
  EXPECT_EQ(table_repository("measured"), "measured");
  EXPECT_EQ(table_repository(""), "an unnamed source");
}

TEST(KernelTablesFolder, RefusesAMissingFolder) {
  EXPECT_THROW(import_kernel_tables("/no/such/folder", {"x", "pcie"}, [](const Measurement&) {}), InputError);
}

}  // namespace
}  // namespace sextant
