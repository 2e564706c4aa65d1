#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// What the model's transfers get where links have lost a part of their capacity and beside a cluster's
/// background traffic: every background flow runs all the
/// time and takes its max-min fair share of the links it crosses, up to what it asks for. Equal paths are
/// chosen by hash. Domain: traffic that lasts longer than the run's transfers and is steady; the model's own
/// transfers are looked at one hop or one ring at a time, as if no other were on the way. Safe to use from
/// several threads.
class BackgroundTraffic {
 public:
  /// Throws InputError, naming both ends, where a flow has no way.
  explicit BackgroundTraffic(const Cluster&);
  ~BackgroundTraffic();
  /// The least rate, 10^9 B/s, among transfers (pairs of GPUs) that all run at once; infinite where none of
  /// them is slower for the background.
  double rate_left(const std::vector<std::pair<int, int>>& transfers) const;

 private:
  struct Flows;
  std::unique_ptr<Flows> flows_;
};

/// Each GPU with the next, the last with the first.
std::vector<std::pair<int, int>> ring_of(const std::vector<int>& gpus);

}  // namespace sextant
