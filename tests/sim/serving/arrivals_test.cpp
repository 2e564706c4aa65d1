#include "sim/serving/arrivals.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "sim/serving/workload.hpp"

namespace sextant {
namespace {

std::string refusal(double request_rate, double burstiness) {
  ArrivalProcess process;
  process.request_rate = request_rate;
  process.burstiness = burstiness;
  try {
    ArrivalStream stream(process, 10, RandomStream(1, "arrivals"));
    for (int i = 0; i < 10; ++i) stream.next();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

// A gap of 1e309 ns is infinite in a double, and scaled by infinity no number at all.
TEST(Arrivals, RefuseGapsThatNoClockHolds) {
  EXPECT_NE(refusal(1e-300, 1).find("found arrivals beyond 292 years"), std::string::npos);
  EXPECT_NE(refusal(1e-12, 1).find("found arrivals beyond 292 years"), std::string::npos);
  EXPECT_NE(refusal(1, 1e-305).find("found arrivals beyond 292 years"), std::string::npos);
  EXPECT_EQ(refusal(1, 1), "no error");
}

}  // namespace
}  // namespace sextant
