#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "reports/sweep_files.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;
using testing::Not;

SweepRows one_point(const std::string& slo) {
  return {R"({"scenario": {"name": "s")" + slo + R"(}, "axes": [{"path": "engine.max_num_seqs"}]})",
          {R"({"point": 0, "values": [8], "status": "ok", "reason": "", "tp": 1, "pp": 1, "dp": 1,
              "output_throughput": 100, "p99_ttft_ms": 10, "p99_tpot_ms": 5, "meets_slo": true})"}};
}

TEST(SweepText, SaysOfAnSloOnlyWhereThereIsOne) {
  EXPECT_THAT(sweep_text(one_point(R"(, "slo": {"p99_ttft_ms": "<=20"})")), HasSubstr("met"));
  EXPECT_THAT(sweep_text(one_point("")), Not(HasSubstr("SLO")));
  EXPECT_THAT(sweep_text(one_point(R"(, "slo": {"goodput": "ttft:200"})")), Not(HasSubstr("met")));
}

}  // namespace
}  // namespace sextant
