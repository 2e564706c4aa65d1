#pragma once
#include <cstdint>
#include <vector>

namespace sextant {

/// Tells from the queue that each arrival finds whether requests arrive faster than they are served. Keeps a
/// few thousand means, whatever the number of arrivals.
class QueueGrowth {
 public:
  /// A request arrives and finds so many others waiting to be admitted.
  void arrival(std::int64_t waiting);

  /// Whether the queue found on average in the second half of the arrivals is longer than in the first by
  /// more than the root of their number: as far as a queue at exactly its capacity wanders by chance, while
  /// one over capacity grows in proportion. False below 30 arrivals, which tell nothing.
  bool overloaded() const;

 private:
  std::int64_t arrivals_ = 0;
  std::int64_t stride_ = 1;  // arrivals in each of means_
  std::vector<double> means_;
  std::int64_t pending_ = 0;  // arrivals not yet in means_
  double pending_sum_ = 0;
};

}  // namespace sextant
