#pragma once
#include <cstdint>
#include <vector>

#include "sim/kernel/time.hpp"

namespace sextant {

/// Requests arriving faster than they are served, over the time in which the queue grew.
struct Overload {
  double from_s = 0;         ///< since when the queue grew
  double arrival_rate = 0;   ///< requests/s that arrived from then on
  double capacity = 0;       ///< requests/s that were served from then on
  std::int64_t waiting = 0;  ///< found by the last to arrive
};

/// Tells from the queue that each arrival finds whether requests arrive faster than they are served. Keeps a
/// few thousand means, whatever the number of arrivals.
class QueueGrowth {
 public:
  /// A request arrives and finds so many others waiting to be admitted, and so many gone for good.
  void arrival(Time now, std::int64_t waiting, std::int64_t left);

  /// Whether the queue found on average in the second half of the arrivals is longer than in the first by
  /// more than the root of their number: as far as a queue at exactly its capacity wanders by chance, while
  /// one over capacity grows in proportion. False below 30 arrivals, which tell nothing.
  bool overloaded() const;

  /// Since when, and how fast. The queue began to grow where it lies deepest below the straight line from its
  /// first value to its last: a queue that is short and then grows has its bend there. Where it is long there
  /// already, the line up to there is looked at again. Precondition: overloaded().
  Overload overload() const;

 private:
  struct Point {
    double seconds = 0;  // of the last arrival in it
    double waiting = 0;  // mean over its arrivals
    std::int64_t left = 0;
  };
  std::int64_t arrivals_ = 0;
  std::int64_t stride_ = 1;  // arrivals in each of points_
  std::vector<Point> points_;
  std::int64_t pending_ = 0;  // arrivals not yet in points_
  double pending_sum_ = 0;
  Point first_, last_;
};

}  // namespace sextant
