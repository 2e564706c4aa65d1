#pragma once
#include <vector>

#include "sim/fabric/transfers.hpp"

namespace sextant {

/// Each GPU sends so many bytes to the next, the last to the first.
std::vector<Transfer> ring_transfers(const std::vector<int>& gpus, double bytes, double limit_gbps);

/// Each GPU sends so many bytes to every other.
std::vector<Transfer> pairwise_transfers(const std::vector<int>& gpus, double bytes, double limit_gbps);

/// NCCL's all-reduce tree: a chain inside each node and two binary trees over the nodes, one the other's
/// mirror image, each with half of the bytes, up and down (Sanders, Speck and Traeff 2009). `nodes`: the GPUs
/// of each node.
std::vector<Transfer> tree_transfers(const std::vector<std::vector<int>>& nodes, double bytes,
                                     double limit_gbps);

}  // namespace sextant
