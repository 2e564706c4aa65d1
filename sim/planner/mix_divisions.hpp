#pragma once
#include <cstddef>
#include <vector>

#include "sim/planner/selections.hpp"

namespace sextant {

/// The GPUs of one model, in an order that all shares of one key have: what is found for one of them holds
/// for all, with its GPUs in place of the other's.
struct GpuShare {
  std::vector<std::vector<int>> key;
  std::vector<int> gpus;
};

/// One way to divide the GPUs: of each model how many of each pool, and which.
struct GpuDivision {
  std::vector<Counts> counts;
  std::vector<GpuShare> shares;
};

/// Divisions of all GPUs among the models.
struct GpuDivisions {
  std::vector<GpuDivision> all;
  bool complete = true;  ///< else only shares one after another along the nodes, as there are too many
};

/// Every way to divide the GPUs of the pools among so many models, each with at least one; equal GPUs and
/// equal nodes exchanged once. Where there are more than `most`, only those that give each model the next
/// GPUs along the nodes, in every order of the models, in steps as fine as `most` allows.
GpuDivisions gpu_divisions(const std::vector<GpuPool>&, std::size_t models, std::size_t most);

/// How far the models' shares are scattered: the nodes that each touches, summed.
int spread(const std::vector<GpuPool>&, const GpuDivision&);

}  // namespace sextant
