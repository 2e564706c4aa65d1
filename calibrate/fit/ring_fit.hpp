#pragma once
#include <string>
#include <vector>

#include "calibrate/fit/fit_report.hpp"
#include "models/cost/nccl_tuning.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {

/// One group left out of a ring fit and predicted from the others.
struct LeftOutGroup {
  std::string op;
  int ranks = 0;
  bool between = false;   ///< smaller and larger groups were known
  std::size_t sizes = 0;  ///< judged: all but those the switch reduced
  ErrorSummary errors;
};

struct RingFitReport {
  struct Line {
    std::string op;
    ErrorSummary fitted;  ///< the bare lines, without the measured neighbours, against all groups
  };
  std::vector<Line> lines;
  std::vector<LeftOutGroup> groups;
};

/// Base, hop and bandwidth of each NCCL protocol, from the link's own curves of two or more group sizes: the
/// times are sorted by the protocol that NCCL's tables choose, and each sort is met by a line with no
/// negative part, least in relative error, large errors counting less. Sizes that the switch reduced are left
/// out. Every operation's errors are those of groups left out one by one. What LL's first channel saves and
/// how many channels a send takes are told where the curves show them. No operation with two groups: none.
std::optional<RingModel> fit_ring(const NcclTuning&, const LinkProfile& link, double compute_capability,
                                  RingFitReport&);

}  // namespace sextant
