#include "models/cost/host_range.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace sextant {
namespace {

/// 4 ranks, an all-reduce of 4 MB in 300 us: 4e6 B x 6 steps / 4 / 300 us = 20 GB/s; a message of 1 MB in 50
/// us: 20 GB/s.
LinkProfile twenty_gbps() {
  LinkProfile link;
  link.name = "toy";
  link.link = "pcie";
  link.line_gbps = 60;
  link.send = {Grade::measured, "test", {1e3, 1e6}, {5, 50}, {0.7, 1.1}};
  link.collectives = {{"all_reduce", 4, {Grade::measured, "test", {1e3, 4e6}, {10, 300}, {0.9, 1.1}}}};
  return link;
}

TEST(HostRange, SpreadReachesTheSlowestAndTheFastestKnownMachine) {
  LinkProfile link = twenty_gbps();
  link.hosts = HostRange{10, 40, 20, 50, Grade::fitted, "test"};
  const LinkProfile any = on_any_host(link);
  const Spread spread = any.collectives.front().curve.spread;
  // Others take 1/2 to 2 times as long; beside 10 % of its own: exp(hypot(ln 2, ln 1.1)).
  EXPECT_NEAR(spread.low, std::exp(-std::hypot(std::log(2), std::log(1 / 0.9))), 1e-12);
  EXPECT_NEAR(spread.high, std::exp(std::hypot(std::log(2), std::log(1.1))), 1e-12);
  EXPECT_EQ(any.collectives.front().curve.us, link.collectives.front().curve.us) << "the time itself stays";
  EXPECT_EQ(any.collectives.front().curve.grade, Grade::fitted);
  // Nobody sends slower than it does.
  EXPECT_NEAR(any.send.spread.low, std::exp(-std::hypot(std::log(2.5), std::log(1 / 0.7))), 1e-12);
  EXPECT_NEAR(any.send.spread.high, 1.1, 1e-12);
}

TEST(HostRange, OwnMachineKeepsItsSpread) {
  const LinkProfile link = on_any_host(twenty_gbps());
  EXPECT_EQ(link.collectives.front().curve.spread.low, 0.9);
  EXPECT_EQ(link.collectives.front().curve.grade, Grade::measured);
}

// All-reduces of RTX PRO 6000 in other people's machines, from voipmonitor/rtx6kpro@29f3863a371d
// (optimization/, hardware/pcie-bandwidth.md, hardware/wrx90-cpayne-*); milliseconds are bytes x 2 (n - 1) /
// n / bus bandwidth.
TEST(HostRange, OtherPeoplesMachinesLieInsideGen5sInterval) {
  struct Seen {
    const char* machine;
    int ranks;
    double bytes, busbw_gbps;
  };
  constexpr double KiB = 1024, MiB = 1024 * KiB;
  const Seen all[] = {{"Turin", 4, 64 * KiB, 7.7},
                      {"Turin", 4, MiB, 25.1},
                      {"Turin", 4, 16 * MiB, 45.6},
                      {"ESC8000A", 4, 32 * MiB, 30.3},
                      {"WRX90", 8, MiB, 21.6},
                      {"WRX90", 8, 16 * MiB, 44.2},
                      {"WRX90", 8, 1024 * MiB, 46.4},
                      {"Turin", 8, 64 * KiB, 4.96},
                      {"Turin", 8, 4 * MiB, 33.5},
                      {"Turin", 8, 16 * MiB, 40.4},
                      {"three switches", 8, 64 * MiB, 41},
                      {"Turin, bad graph", 8, 32 * MiB, 22.2}};
  const LinkProfile own = find_link_profile("pcie-gen5"), any = on_any_host(own);
  int inside = 0, inside_own = 0;
  for (const Seen& seen : all) {
    const double us = seen.bytes * 2 * (seen.ranks - 1) / seen.ranks / seen.busbw_gbps / 1e3;
    for (const bool widened : {false, true}) {
      const TransferCurve& curve = *(widened ? any : own).collective("all_reduce", seen.ranks);
      const double ratio = us / curve.time_us(seen.bytes);
      const bool holds = ratio >= curve.spread.low && ratio <= curve.spread.high;
      (widened ? inside : inside_own) += holds ? 1 : 0;
    }
  }
  EXPECT_GE(inside, 11) << "nine of ten";
  EXPECT_LE(inside_own, 3) << "the range would be needless: the tables' machine speaks for the others";
}

}  // namespace
}  // namespace sextant
