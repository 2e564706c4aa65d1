#pragma once
#include <vector>

#include "models/cost/cost.hpp"

namespace sextant {

/// What one microbatch meets on its way round: a pass in each stage, a hop after it (the last: its tokens'
/// way back to the first stage), and the engine's host time before it enters.
struct WayRound {
  std::vector<FamilySeconds> passes;
  std::vector<double> hops;  ///< seconds, of each stage; 0 where a single stage has nowhere to send
  double host = 0;           ///< seconds
};

/// Seconds of one round of so many microbatches in steady state: each stage must make that many passes and
/// each link carry as many messages; and no microbatch can start again before its own tokens have come back.
double round_seconds(const WayRound&, int microbatches);

/// The way with everything one family does taken from `other`.
WayRound with_family(WayRound, Family, const WayRound& other);

}  // namespace sextant
