#pragma once
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/row_gate.hpp"

namespace sextant::detail {

/// One run of an nccl-tests binary.
struct NcclTestsJob {
  std::string operation;  ///< of a collective, our word; "sendrecv"; empty if the output does not say
  int ranks = 0;
  std::set<std::string> hosts, gpus;
  std::string link;
  std::optional<bool> gdr, nvls;

  /// "all_reduce_perf" or a path to it. Throws InputError `where` for a test of something else.
  void name_test(const std::string& program, const std::string& where);
};

/// One of a row's two measurements.
struct NcclTestsCell {
  double bytes = 0, us = 0, algorithm_gbps = 0, bus_gbps = 0;
  std::string type;
  bool in_place = false;
  bool exact_time = true;  ///< false: printed with two digits
};

/// Refuses a job of another operation or GPU than was told. Throws InputError `where`.
void expect_told(const NcclTestsJob&, const ForeignOrigin&, const std::string& where);
/// The link between the job's ranks: as told, or that of the GPU within one node. Throws InputError if
/// neither says, and for one that does not leave a node between several.
std::string link_of(const NcclTestsJob&, const ForeignOrigin&, const std::string& file);
/// Checks that size, time and both bandwidths agree with the operation and the ranks, and passes the cell on.
void pass_cell(RowGate&, const NcclTestsJob&, const NcclTestsCell&, Measurement, const RowPlace&);

}  // namespace sextant::detail
