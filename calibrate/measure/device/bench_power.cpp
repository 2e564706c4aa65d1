#include <fmt/core.h>

#include "calibrate/measure/device/bench.hpp"
#include "models/base/error.hpp"

namespace sextant::measure {
namespace {

double known(double watts) {
  if (!(watts > 0)) throw Error(ExitCode::failure, "skipped: the driver says nothing of power");
  return watts;
}

}  // namespace

Bench::Result bench_power(Bench& bench, const PowerRow& row) {
  if (row.work == "idle") {
    const LoadSummary load = bench.timer().measure_idle();
    PowerRow idle = row;
    idle.watts_limit = known(load.limit_watts);
    idle.watts = known(load.idle_watts);
    idle.relative_speed = 1;
    return {0, "0.4 s after work, clocks still up", idle};
  }
  const Point work{"", {"", "", "", power_work(row.work, row.tokens)}, 0};
  bench.timer().watch_load(true);
  Bench::Result timed;
  try {
    timed = bench.measure(work);
  } catch (...) {
    bench.timer().watch_load(false);
    throw;
  }
  bench.timer().watch_load(false);
  const LoadSummary& load = bench.timer().load();
  PowerRow measured = row;
  measured.watts_limit = known(load.limit_watts);
  measured.relative_to_watts = known(load.burst_watts);
  measured.relative_speed = load.burst_us / load.us;
  measured.watts = load.watts;
  measured.clock_mhz = load.mhz;
  return {
      0,
      fmt::format(
          "{:.2f} us in bursts of 3 ms at a third of the time, {:.2f} us when it lasts; idle {:.0f} W; {}",
          load.burst_us, load.us, load.idle_watts, timed.note),
      measured};
}

}  // namespace sextant::measure
