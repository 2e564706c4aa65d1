#include "calibrate/measure/nccl/plan/rows.hpp"

#include <gtest/gtest.h>

#include "calibrate/measure/common/result_file.hpp"

namespace sextant::nccl {
namespace {

const RowContext context = {"h200-sxm", "test", "nvlink", 1, true};

Block block_of(Operation operation, std::vector<int> members) {
  Block block;
  block.operation = operation;
  block.members = std::move(members);
  return block;
}

TEST(Rows, CollectiveSaysWhatWasForced) {
  Block block = block_of(Operation::all_reduce, {0, 1, 2, 3});
  block.graph = true;
  auto row = row_of(block, {"Ring", "LL128", 4}, 1 << 20, false, context);
  ASSERT_TRUE(row);
  set_time(*row, 12.5, "note");
  EXPECT_EQ(
      write_measurement(*row),
      R"({"kind":"collective","gpu":"h200-sxm","op":"all_reduce","ranks":4,"nodes":1,"link":"nvlink","bytes":1048576.0,)"
      R"("us":12.5,"dtype":"bf16","algo":"Ring","proto":"LL128","impl":"nccl","nvls":false,"channels":4,"graph":true,)"
      R"("source":"test","note":"note"})");
}

TEST(Rows, PairSaysWhichOneAndWhichWays) {
  auto row = row_of(block_of(Operation::sendrecv, {1, 3}), {}, 1024, false, context);
  ASSERT_TRUE(row);
  set_time(*row, 8, "");
  EXPECT_EQ(
      write_measurement(*row),
      R"({"kind":"p2p","gpu":"h200-sxm","ranks":2,"nodes":1,"link":"nvlink","bytes":1024.0,"us":8.0,"pair":"1-3",)"
      R"("both_ways":true,"graph":false,"source":"test"})");
}

TEST(Rows, IdentityTellsVariantsGroupsAndPlacesApart) {
  const Block block = block_of(Operation::all_reduce, {0, 1});
  Block graph = block;
  graph.graph = true;
  const auto identity = [&](const Block& each, const Variant& variant, bool in_place) {
    return measure::row_identity(*row_of(each, variant, 1024, in_place, context));
  };
  const std::string plain = identity(block, {}, false);
  EXPECT_NE(plain, identity(block, {}, true));
  EXPECT_NE(plain, identity(graph, {}, false));
  EXPECT_NE(plain, identity(block, {"", "", 2}, false));
  EXPECT_NE(plain, identity(block, {"", "LL", 0}, false));
}

TEST(Rows, NoneForWhatARowCannotSay) {
  Block most = block_of(Operation::all_reduce, {0, 1});
  most.reduction = Reduction::max;
  EXPECT_FALSE(row_of(most, {}, 1024, false, context));
  Block other_root = block_of(Operation::broadcast, {0, 1});
  other_root.root = 1;
  EXPECT_FALSE(row_of(other_root, {}, 1024, false, context));
}

TEST(PairMatrices, ShowBandwidthBothWaysAndLatency) {
  std::vector<Measurement> rows;
  const auto add = [&](Operation operation, double bytes, double us, const Variant& variant = {}) {
    auto row = row_of(block_of(operation, {0, 2}), variant, bytes, false, context);
    set_time(*row, us, "");
    rows.push_back(*row);
  };
  add(Operation::send, 1024, 5.25);
  add(Operation::send, 1e9, 4000);      // 1e9 B in 4 ms: 250 GB/s
  add(Operation::sendrecv, 1e9, 5000);  // 200 GB/s each way: 400
  add(Operation::send, 1e9, 1000, {"", "", 8});
  EXPECT_EQ(pair_matrices(rows, 3),
            "# one way, GB/s, the best of all sizes\n"
            "#  GPU        0        1        2\n"
            "#    0        -            250.00\n"
            "#    1                 -         \n"
            "#    2                          -\n"
            "# both ways at once, GB/s, sum of both\n"
            "#  GPU        0        1        2\n"
            "#    0        -            400.00\n"
            "#    1                 -         \n"
            "#    2                          -\n"
            "# one way, us, of 1 KiB\n"
            "#  GPU        0        1        2\n"
            "#    0        -              5.25\n"
            "#    1                 -         \n"
            "#    2                          -\n");
}

TEST(PairMatrices, NothingWithoutPairs) {
  EXPECT_EQ(pair_matrices({}, 4), "");
}

}  // namespace
}  // namespace sextant::nccl
