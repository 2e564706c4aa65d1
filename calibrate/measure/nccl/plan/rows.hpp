#pragma once
#include <optional>
#include <string>
#include <vector>

#include "calibrate/measure/nccl/plan/plan.hpp"
#include "models/profile/measurement.hpp"

namespace sextant::nccl {

/// What a group's rows share beside its block.
struct RowContext {
  std::string gpu;  ///< catalogue name
  std::string source;
  std::string link;
  int nodes = 1;
  bool multicast_off = true;  ///< NVLS was forbidden
};

/// The row of one point without its time and note; nothing for what a row cannot say (a reduction other than
/// sum, a root other than 0).
std::optional<Measurement> row_of(const Block&, const Variant&, double bytes, bool in_place,
                                  const RowContext&);

/// Puts time and note into a row made by row_of.
void set_time(Measurement&, double us, const std::string& note);

/// The pairs' bandwidth one way and both ways (the best over all sizes, both directions added) and the
/// one-way time of the smallest message, as matrices; empty without p2p rows. Rows of forced variants are
/// left out.
std::string pair_matrices(const std::vector<Measurement>& rows, int ranks);

}  // namespace sextant::nccl
