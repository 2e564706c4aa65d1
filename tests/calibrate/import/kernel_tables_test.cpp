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

const std::string moe_header =
    "kernel_source,moe_dtype,num_tokens,hidden_size,inter_size,topk,num_experts,moe_tp_size,moe_ep_size,"
    "distribution,latency";

TEST_F(KernelTables, MoeKeepsItsKernelAndItsShares) {
  // Two kernels of one shape stay two rows; 0.25 ms = 250 us.
  write("moe_perf.csv", moe_header + "\ntriton,int4_wo,64,4096,14336,2,8,4,2,balanced,0.25\n" +
                            "marlin,bfloat16,64,4096,14336,2,8,4,2,power_law_1.2,0.5\n");
  const auto rows = read();
  ASSERT_EQ(rows.size(), 2U);
  const auto& row = std::get<MoeRow>(rows[0].row);
  EXPECT_EQ(row.dtype, "int4_wo");
  EXPECT_EQ(row.tokens, 64);
  EXPECT_EQ(row.hidden, 4096);
  EXPECT_EQ(row.intermediate, 14336);
  EXPECT_EQ(row.experts, 8);
  EXPECT_EQ(row.topk, 2);
  EXPECT_EQ(row.tp, 4);
  EXPECT_EQ(row.ep, 2);
  EXPECT_EQ(row.distribution, "balanced");
  EXPECT_DOUBLE_EQ(row.us, 250);
  EXPECT_EQ(rows[0].note, "triton");
  EXPECT_EQ(rows[1].note, "marlin");
  EXPECT_EQ(std::get<MoeRow>(rows[1].row).dtype, "bf16");
}

// B200's table has a version column; what the path of the source says already is not repeated.
TEST_F(KernelTables, MoeNotesAVersionOfItsOwn) {
  write("moe_perf.csv", "# source: a@1 data/vllm/0.24.0/moe_perf.parquet (MIT); latency in ms\nversion," +
                            moe_header + "\n0.24.0,k,nvfp4,1,64,64,1,8,1,1,balanced,0.1\n" +
                            "0.25.dev,k,w4a8_mxfp4_mxfp8,1,64,64,1,8,1,1,balanced,0.1\n");
  const auto rows = read();
  EXPECT_EQ(rows.at(0).note, "k");
  EXPECT_EQ(rows.at(1).note, "k, 0.25.dev");
}

TEST_F(KernelTables, RefusesMoreExpertsChosenThanThereAre) {
  write("moe_perf.csv", moe_header + "\nk,bfloat16,64,4096,14336,9,8,1,1,balanced,0.25\n");
  expect_error("moe_perf.csv:2: column 'topk': found 9 of 8 experts");
}

const std::string mla_header =
    "kernel_source,mla_dtype,kv_cache_dtype,num_heads,batch_size,isl,tp_size,step,latency\n";
const std::string mla_module_header =
    "kernel_source,model,architecture,mla_dtype,kv_cache_dtype,gemm_type,num_heads,batch_size,isl,tp_size,"
    "step,"
    "latency\n";

TEST_F(KernelTables, MlaPrefillIsAKernelOrAModule) {
  write("context_mla_perf.csv", mla_header + "flashmla,bfloat16,fp8,32,2,512,4,0,0.2\n");
  write("mla_context_module_perf.csv",
        mla_module_header + "FLASHMLA,deepseek-ai/DeepSeek-V3,D,bfloat16,fp8,fp8_block,32,2,512,1,128,0.4\n");
  const auto rows = read();
  const auto kernel = std::get<MlaPrefillRow>(rows.at(0).row),
             module = std::get<MlaPrefillRow>(rows.at(1).row);
  EXPECT_EQ(kernel.heads, 32);
  EXPECT_EQ(kernel.batch, 2);
  EXPECT_EQ(kernel.new_tokens, 512);
  EXPECT_EQ(kernel.past_tokens, 0);
  EXPECT_EQ(kernel.tp, 4);
  EXPECT_EQ(kernel.kv_dtype, "fp8");
  EXPECT_FALSE(kernel.module);
  EXPECT_EQ(kernel.projections, "");
  EXPECT_DOUBLE_EQ(kernel.us, 200);
  EXPECT_TRUE(module.module);
  EXPECT_EQ(module.projections, "fp8_block");
  EXPECT_EQ(module.past_tokens, 128);
  EXPECT_EQ(rows[0].note, "flashmla");
}

// The kernel's table counts cached tokens (1, 3, 7, …), the module's the new one too (2, 4, 8, …): each of
// these rows attends to 4096.
TEST_F(KernelTables, MlaDecodeCountsTheNewTokenInBothTables) {
  write("generation_mla_perf.csv", mla_header + "flashmla,bfloat16,bfloat16,16,8,1,8,4095,0.2\n");
  write("mla_generation_module_perf.csv",
        mla_module_header + "FLASHMLA,m,D,bfloat16,bfloat16,bfloat16,16,8,1,1,4096,0.4\n");
  const auto rows = read();
  EXPECT_EQ(std::get<MlaDecodeRow>(rows.at(0).row).context, 4096);
  EXPECT_EQ(std::get<MlaDecodeRow>(rows.at(1).row).context, 4096);
  EXPECT_EQ(std::get<MlaDecodeRow>(rows.at(1).row).projections, "bf16");
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
