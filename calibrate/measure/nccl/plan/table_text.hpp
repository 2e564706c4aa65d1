#pragma once
#include <cstddef>
#include <optional>
#include <string>

#include "calibrate/measure/nccl/plan/operation.hpp"

namespace sextant::nccl {

/// Time and correctness of one operation, out of place or in place.
struct TableCell {
  double us = 0;
  Bandwidth bandwidth;
  std::optional<long long> wrong;  ///< elements; empty: not checked ("N/A")
};

/// The three heading lines of nccl-tests' table, each with its line end.
std::string table_heading();

/// One line of nccl-tests' table without its line end; a cell that was not measured is left out as "N/A".
std::string table_line(std::size_t size, std::size_t count, const std::string& type,
                       const std::string& reduction, int root, const std::optional<TableCell>& out_of_place,
                       const std::optional<TableCell>& in_place);

/// nccl-tests' closing lines: wrong values and the mean bus bandwidth.
std::string table_footer(long long wrong, double mean_busbw);

}  // namespace sextant::nccl
