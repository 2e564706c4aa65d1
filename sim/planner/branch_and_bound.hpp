#pragma once
#include <map>
#include <optional>
#include <vector>

#include "sim/planner/cost_tables.hpp"

namespace sextant {

/// In a closed loop no more replicas than requests at once have work.
int most_replicas(const WorkloadSummary&);

/// What no GPU can exceed, by the estimate: how much of the model each GPU can carry.
class GpuSpeeds {
 public:
  /// With at most `running` requests at once on a replica.
  GpuSpeeds(CostTables&, double running);

  /// A stage with this GPU as 1/tp of its group, holding `share` of the model, yields at most
  /// tp x speed / share output tokens/s; so speeds of all GPUs of a replica add up to a bound on it.
  double of(int gpu) const;
  /// The share of the model that these layers are; all layers together are 1.
  double share(LayerRange) const;
  double sum(const std::vector<int>& gpus) const;
  /// Seconds that a batch takes through all layers at least, on the fastest groups there are.
  double least_pass() const { return least_pass_; }

 private:
  CostTables& tables_;
  std::vector<double> shares_;   // of the layers before each layer
  std::map<int, double> speed_;  // by sort of GPU
  double least_pass_ = 0;
};

/// As throughput_bound(context), with tables that are kept.
double throughput_bound(CostTables&);

/// Searches every placement, split and mixture of replicas for one that is better than `best`, which it
/// replaces; a bound settles whatever cannot be. Exact if it ends before options.most_steps.
void branch_and_bound(CostTables&, const SearchOptions&, std::optional<EstimatedLayout>& best, SearchProof&);

}  // namespace sextant
