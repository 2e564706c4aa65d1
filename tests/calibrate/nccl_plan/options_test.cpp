#include "calibrate/measure/nccl/plan/options.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"

namespace sextant::nccl {
namespace {

std::string refusal(const std::vector<std::string>& arguments) {
  try {
    parse_options(arguments);
  } catch (const InputError& error) {
    return error.what();
  }
  return "accepted";
}

TEST(Options, ReadsACommandLineOfNcclTests) {
  const Options options = parse_options({"all_reduce_perf", "-b", "8", "-e", "1G", "-f2", "-g", "4", "-d",
                                         "bfloat16", "-c", "0", "-w3", "-G", "2"});
  ASSERT_EQ(options.operations.size(), 1u);
  EXPECT_EQ(options.operations[0], Operation::all_reduce);
  EXPECT_EQ(options.min_bytes, 8u);
  EXPECT_EQ(options.max_bytes, 1u << 30);
  EXPECT_EQ(options.step_factor, 2);
  EXPECT_EQ(options.local_ranks(), 4);  // one thread of four GPUs
  EXPECT_EQ(options.types->front(), DataType::bfloat16);
  EXPECT_EQ(options.check, 0);
  EXPECT_EQ(options.warm_up, 3);
  EXPECT_EQ(options.graph_launches, 2);
}

TEST(Options, LongNamesMayBeShortenedAndJoined) {
  const Options options =
      parse_options({"--minbytes=64K", "--maxb", "2M", "--op", "max", "--nthreads=2", "--ngpus=2"});
  EXPECT_TRUE(options.sweep());
  EXPECT_EQ(options.min_bytes, 65536u);
  EXPECT_EQ(options.max_bytes, 2u << 20);
  EXPECT_EQ(options.reductions, std::vector<Reduction>{Reduction::max});
  EXPECT_EQ(options.local_ranks(), 4);
}

TEST(Options, DefaultsAreThoseOfNcclTests) {
  const Options options = parse_options({});
  EXPECT_EQ(options.aggregate, 1);
  EXPECT_EQ(options.check, 1);
  EXPECT_EQ(options.average, 1);
  EXPECT_EQ(options.reductions, std::vector<Reduction>{Reduction::sum});
  EXPECT_FALSE(options.local_ranks());
  EXPECT_FALSE(options.allow_multicast);
}

TEST(Options, VariantListsInAnyCase) {
  const Options options =
      parse_options({"--algo", "ring,TREE,default", "--proto=ll128,simple", "--channels", "2,default"});
  EXPECT_EQ(*options.variants.algorithms, (std::vector<std::string>{"Ring", "Tree", ""}));
  EXPECT_EQ(*options.variants.protocols, (std::vector<std::string>{"LL128", "Simple"}));
  EXPECT_EQ(*options.variants.channels, (std::vector<int>{2, 0}));
}

TEST(Options, OfOneCallDoNotReachTheNext) {
  EXPECT_EQ(parse_options({"-b", "1K"}).min_bytes, 1024u);
  EXPECT_FALSE(parse_options({}).min_bytes);
}

TEST(Options, RefusalsNameTheOptionAndWhatIsExpected) {
  EXPECT_EQ(refusal({"-g", "two"}), "nccl: ngpus: found \"two\", expected a whole number from 1");
  EXPECT_EQ(refusal({"-b", "12Q"}),
            "nccl: minbytes: found '12Q', expected a size such as 512, 64K, 8M or 1G");
  EXPECT_EQ(refusal({"-o", "mulsum"}),
            "nccl: op: found \"mulsum\", expected sum, prod, max, min, avg or all");
  EXPECT_EQ(refusal({"-R", "1"}),
            "nccl: local_register: found \"1\", expected 0: sextant-measure does not have it");
  EXPECT_EQ(refusal({"allreduce"}),
            "nccl: operation: found \"allreduce\", expected all_reduce, all_gather, reduce_scatter, "
            "broadcast, all_to_all, "
            "send or sendrecv");
  EXPECT_EQ(refusal({"--bogus"}),
            "nccl: found --bogus, expected one of nccl-tests' flags or those of nccl --help");
  EXPECT_EQ(refusal({"-e"}), "nccl: -e has no value, expected one");
  EXPECT_EQ(refusal({"-b", "2M", "-e", "1M"}),
            "nccl: minbytes is 2097152 and maxbytes 1048576, expected no more");
  EXPECT_EQ(refusal({"--resume"}),
            "nccl: --resume without a file, expected --output FILE of the run to continue");
  EXPECT_EQ(refusal({"-a", "4"}),
            "nccl: average: found \"4\", expected 0 (rank 0), 1 (average), 2 (least) or 3 (most)");
}

}  // namespace
}  // namespace sextant::nccl
