#include "calibrate/measure/nccl/plan/operation.hpp"

#include <gtest/gtest.h>

namespace sextant::nccl {
namespace {

TEST(Operation, TakesTheNamesOfNcclTestsPrograms) {
  EXPECT_EQ(operation_named("all_reduce_perf"), Operation::all_reduce);
  EXPECT_EQ(operation_named("alltoall_perf"), Operation::all_to_all);
  EXPECT_EQ(operation_named("all_to_all"), Operation::all_to_all);
  EXPECT_EQ(operation_named("sendrecv"), Operation::sendrecv);
  EXPECT_FALSE(operation_named("allreduce"));
}

TEST(Layout, AllReduceTakesTheWholeSize) {
  const Layout counts = layout(Operation::all_reduce, 1024, 2, 4);
  EXPECT_EQ(counts.count, 512u);  // 1024 B of 2 B each
  EXPECT_EQ(counts.send_count, 512u);
  EXPECT_EQ(counts.recv_count, 512u);
  EXPECT_EQ(size_bytes(counts, 2), 1024u);
}

TEST(Layout, AllGatherSharesAreRoundedDownTo16Bytes) {
  // 1024 B of bf16 are 512 elements; a third is 170, of which 168 are whole 16-byte pieces of 8.
  const Layout counts = layout(Operation::all_gather, 1024, 2, 3);
  EXPECT_EQ(counts.count, 168u);
  EXPECT_EQ(counts.send_count, 168u);
  EXPECT_EQ(counts.recv_count, 504u);
  EXPECT_EQ(counts.in_place_send_offset, 168u);
  EXPECT_EQ(counts.in_place_recv_offset, 0u);
  EXPECT_EQ(size_bytes(counts, 2), 1008u);
}

TEST(Layout, ReduceScatterReceivesItsShareInPlaceAtItsRank) {
  const Layout counts = layout(Operation::reduce_scatter, 1 << 20, 4, 4);
  EXPECT_EQ(counts.send_count, 262144u);
  EXPECT_EQ(counts.recv_count, 65536u);
  EXPECT_EQ(counts.in_place_recv_offset, 65536u);
  EXPECT_EQ(size_bytes(counts, 4), 1u << 20);
}

TEST(Layout, TooSmallForEveryRankIsNothing) {
  EXPECT_EQ(layout(Operation::all_to_all, 16, 4, 4).count, 0u);  // 4 elements, one each: less than 16 B
}

// 1 GB in 10 ms is 100 GB/s; four ranks.
TEST(Bandwidth, FactorsOfNcclTests) {
  EXPECT_DOUBLE_EQ(bandwidth(Operation::all_reduce, 1e9, 0.01, 4).algbw, 100);
  EXPECT_DOUBLE_EQ(bandwidth(Operation::all_reduce, 1e9, 0.01, 4).busbw, 150);  // 2 * 3/4
  EXPECT_DOUBLE_EQ(bandwidth(Operation::all_gather, 1e9, 0.01, 4).busbw, 75);   // 3/4
  EXPECT_DOUBLE_EQ(bandwidth(Operation::reduce_scatter, 1e9, 0.01, 4).busbw, 75);
  EXPECT_DOUBLE_EQ(bandwidth(Operation::all_to_all, 1e9, 0.01, 4).busbw, 75);
  EXPECT_DOUBLE_EQ(bandwidth(Operation::broadcast, 1e9, 0.01, 4).busbw, 100);
  EXPECT_DOUBLE_EQ(bandwidth(Operation::sendrecv, 1e9, 0.01, 2).busbw, 100);
}

TEST(DataType, NamesOnTheCommandLineAndInRows) {
  EXPECT_EQ(data_type_named("float"), DataType::float32);
  EXPECT_EQ(row_name(DataType::float32), "fp32");
  EXPECT_EQ(row_name(DataType::bfloat16), "bf16");
  EXPECT_EQ(bytes_of(DataType::bfloat16), 2u);
  EXPECT_FALSE(data_type_named("bf16"));
}

}  // namespace
}  // namespace sextant::nccl
