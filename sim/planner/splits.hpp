#pragma once
#include <memory>
#include <vector>

#include "sim/planner/cost_tables.hpp"

namespace sextant {

/// splits_worth_trying for many pipelines: what a stage costs is worked out once for each sort of group.
class SplitFinder {
 public:
  explicit SplitFinder(CostTables&);
  ~SplitFinder();
  std::vector<std::vector<int>> worth_trying(const std::vector<GpuGroup>& pipeline, int tp);

 private:
  struct Loads;
  CostTables& tables_;
  std::unique_ptr<Loads> loads_;
};

}  // namespace sextant
