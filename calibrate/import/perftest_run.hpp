#pragma once
#include <optional>
#include <string>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/row_gate.hpp"

namespace sextant::detail {

/// One run of a perftest binary, as its heading says.
struct PerftestRun {
  std::string operation;  ///< send, write, read; empty before a heading
  std::string test;       ///< bw or lat
  std::string device;
  int qps = 0, mtu = 0;
  bool gpu_memory = false;

  /// "RDMA_Write BW Test" or JSON's "RDMA_Write_BW_Test". False if the text is no such title; throws
  /// InputError `where` for a test that is no one-way send, write or read.
  bool name_test(std::string title, const std::string& where);
};

enum class PerftestUnit { megabytes, gigabits };  ///< 2^20 B/s, 10^9 bit/s

/// Gbit/s of a rate that perftest prints.
double perftest_gbps(double rate, PerftestUnit);
/// The unit in which rate and message rate (10^6/s) of messages of that size agree; nullopt if in none.
std::optional<PerftestUnit> agreeing_unit(double rate, double message_rate, double bytes);
/// Checks what is missing and passes a bandwidth (gbps) or latency (us) on. Throws InputError.
void pass_perftest(RowGate&, const PerftestRun&, const ForeignOrigin&, const std::string& source,
                   double bytes, std::optional<double> gbps, std::optional<double> us, const RowPlace&);

}  // namespace sextant::detail
