#include "calibrate/import/perftest_run.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant::detail {
namespace {

constexpr double bits_per_byte = 8, bits_per_gbit = 1e9, bytes_per_megabyte = 1 << 20, per_million = 1e6;
// Rates are printed to the hundredth.
constexpr double rounding = 0.0051;

}  // namespace

bool PerftestRun::name_test(std::string title, const std::string& where) {
  std::replace(title.begin(), title.end(), '_', ' ');
  const bool bandwidth = title.find(" BW Test") != std::string::npos;
  if (!bandwidth && title.find(" Latency Test") == std::string::npos) return false;
  const auto has = [&](const char* word) { return title.find(word) != std::string::npos; };
  if (has("Bidirectional"))
    throw InputError(fmt::format("{}: found a bidirectional test, expected one direction", where));
  PerftestRun run;
  run.test = bandwidth ? "bw" : "lat";
  run.operation = has("Send") ? "send" : has("Write") ? "write" : has("Read") ? "read" : "";
  if (run.operation.empty())
    throw InputError(
        fmt::format("{}: found the test '{}', expected one of Send, RDMA_Write, RDMA_Read", where, title));
  *this = run;
  return true;
}

double perftest_gbps(double rate, PerftestUnit unit) {
  return unit == PerftestUnit::gigabits ? rate : rate * bytes_per_megabyte * bits_per_byte / bits_per_gbit;
}

std::optional<PerftestUnit> agreeing_unit(double rate, double message_rate, double bytes) {
  const double gbps = message_rate * per_million * bytes * bits_per_byte / bits_per_gbit;
  for (const PerftestUnit unit : {PerftestUnit::megabytes, PerftestUnit::gigabits}) {
    const double tolerance = shipped_import_limits().rates_agree * gbps + perftest_gbps(rounding, unit);
    if (std::abs(perftest_gbps(rate, unit) - gbps) <= tolerance) return unit;
  }
  return std::nullopt;
}

void pass_perftest(RowGate& gate, const PerftestRun& run, const ForeignOrigin& origin,
                   const std::string& source, double bytes, std::optional<double> gbps,
                   std::optional<double> us, const RowPlace& place) {
  const std::string where = gate.where(place);
  if (run.operation.empty())
    throw InputError(fmt::format("{}: found a row before a title such as 'Send BW Test'", where));
  if (run.device.empty() || run.qps < 1 || run.mtu < 1)
    throw InputError(
        fmt::format("{}: found no Device, Number of qps or Mtu above, expected all of them", where));
  if (origin.rate_gbps <= 0)
    throw InputError(
        fmt::format("{}: the port's rate is not in perftest's output, expected --rate-gbps 200 or what "
                    "the port has",
                    where));
  if (gbps && *gbps > origin.rate_gbps * shipped_import_limits().times_peak)
    throw InputError(
        fmt::format("{}: found {:.6g} Gbit/s on a port of {:.6g} Gbit/s, expected less; is it in another "
                    "unit?",
                    where, *gbps, origin.rate_gbps));
  RdmaRow row;
  row.op = run.operation;
  row.test = run.test;
  row.bytes = bytes;
  row.qps = run.qps;
  row.gbps = gbps;
  row.us = us;
  row.device = run.device;
  row.mtu = run.mtu;
  row.rate_gbps = origin.rate_gbps;
  row.gdr = run.gpu_memory;
  const Measurement measurement{origin.gpu, source, "", row};
  gate.pass_rate(measurement, us ? *us : *gbps, place);
}

}  // namespace sextant::detail
