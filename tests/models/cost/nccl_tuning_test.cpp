#include "models/cost/nccl_tuning.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

/// What the reader says of the shipped tables with one piece of text changed.
std::string message(const std::string& from, const std::string& to) {
  std::string text(embedded_files("calibrate/profiles/nccl-tuning.json").front().content);
  const std::size_t place = text.find(from);
  if (place == std::string::npos) return "not in the tables: " + from;
  text.replace(place, from.size(), to);
  try {
    read_nccl_tuning(JsonValue::parse(text, "f"));
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(NcclTuning, ReadsTheShippedTables) {
  const NcclTuning tuning = shipped_nccl_tuning();
  EXPECT_EQ(tuning.base_us[0][0], 6.6);    // ring, LL
  EXPECT_EQ(tuning.network_us[1][2], 14);  // tree, Simple
  EXPECT_EQ(tuning.base_us[2][0], std::nullopt) << "NVLS is Simple only";
  EXPECT_EQ(tuning.tree_correction[2].size(), 23u);
  EXPECT_EQ(tuning.network_overhead_us.at("amd"), 2);
}

// 8.9 is an Ada card: Ampere's row; 12.1 a GB10: Blackwell's.
TEST(NcclTuning, GenerationByComputeCapability) {
  const NcclTuning tuning = shipped_nccl_tuning();
  EXPECT_EQ(tuning.generation(compute_capability_number("7.0")).name, "volta");
  EXPECT_EQ(tuning.generation(compute_capability_number("8.9")).name, "ampere");
  EXPECT_EQ(tuning.generation(compute_capability_number("9.0")).name, "hopper");
  EXPECT_EQ(tuning.generation(compute_capability_number("12.1")).name, "blackwell");
  EXPECT_THROW(compute_capability_number("9"), InputError);
  EXPECT_THROW(compute_capability_number("9.x"), InputError);
  EXPECT_THROW(compute_capability_number(""), InputError);
}

TEST(NcclTuning, NamesWhatIsWrong) {
  EXPECT_THAT(message("\"version\": 1", "\"version\": 2"),
              HasSubstr("f: version: found version 2, expected 1"));
  EXPECT_THAT(message("[6.6, 14.0, 8.4]", "[6.6, 14.0]"),
              HasSubstr("f: base_us.ring: found 2 values, expected 3"));
  EXPECT_THAT(message("[6.6, 14.0, 8.4]", "[6.6, 14.0, -1]"), HasSubstr("f: base_us.ring[2]: found -1"));
  EXPECT_THAT(message("[87.7, 22.5, 19]", "[87.7, 22.5]"), HasSubstr("expected 3, for 1, 2, and 3 or more"));
  EXPECT_THAT(message("\"amd\": \"ampere\"", "\"amd\": \"ampre\""), HasSubstr("f: ll_between_nodes.amd"));
  EXPECT_THAT(message("\"from_compute_capability\": 0", "\"from_compute_capability\": 50"),
              HasSubstr("f: generations: found no generation from compute capability 0"));
  EXPECT_THAT(message("\"tree_ll_divisor\"", "\"tree_l_divisor\""), HasSubstr("tree_ll_divisor"));
}

TEST(NcclTuning, NamesProtocols) {
  EXPECT_EQ(protocol_named("ll128"), Protocol::ll128);
  EXPECT_EQ(to_string(Algorithm::nvls_tree), "nvls_tree");
  EXPECT_THROW(protocol_named("LL256"), InputError);
}

}  // namespace
}  // namespace sextant
