#include "reports/request_csv.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

Time ms(std::int64_t value) {
  return Time{value * 1'000'000};
}

// Request 7 arrives at 1000 ms, enters at 1050, is preempted and enters again, has its first token at 1200 ms
// and the last of 11 at 2200: TPOT (1200 - 200) / 10 = 100. Request 8 is turned away by replica 0, 9 by none;
// 10 has a single token and no TPOT.
TEST(RequestCsv, OneRowForEachAsItLeaves) {
  std::string text;
  RequestCsvWriter writer([&](std::string_view piece) { text += piece; });
  writer.arrived(7, 1, ms(1000));
  writer.arrived(8, 0, ms(1010));
  writer.rejected(8, ms(1010));
  writer.rejected(9, ms(1020));
  writer.admitted(7, ms(1050));
  writer.preempted(7, ms(1060));
  writer.admitted(7, ms(1100));
  writer.arrived(10, 0, ms(1100));
  writer.admitted(10, ms(1100));
  writer.finished({ms(1100), ms(1150), ms(1150), 5, 1, 10});
  writer.finished({ms(1000), ms(1200), ms(2200), 50, 11, 7});
  EXPECT_EQ(text,
            "request,replica,status,arrival_s,queue_ms,ttft_ms,tpot_ms,e2el_ms,preemptions,prompt_tokens,"
            "output_tokens\r\n"
            "8,0,rejected,1.010000000,,,,,0,,\r\n"
            "9,,rejected,1.020000000,,,,,0,,\r\n"
            "10,0,finished,1.100000000,0.000000,50.000000,,50.000000,0,5,1\r\n"
            "7,1,finished,1.000000000,50.000000,200.000000,100.000000,1200.000000,1,50,11\r\n");
}

}  // namespace
}  // namespace sextant
