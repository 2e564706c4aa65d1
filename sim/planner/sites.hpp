#pragma once
#include <map>
#include <string>
#include <vector>

#include "sim/fabric/route.hpp"

namespace sextant {

/// Where a GPU stands, as far as times depend on it: GPUs of one node and one sort are interchangeable, and
/// so are nodes of one sort and attachment with each other.
class Sites {
 public:
  /// Looks at each sort of node once, so that it costs O(devices + links) in clusters of equal nodes.
  explicit Sites(const Topology&);

  /// Sort of the GPU: its node's make and its place in it.
  int sort(int gpu) const { return sorts_[static_cast<std::size_t>(gpu)]; }
  int node(int gpu) const { return nodes_[static_cast<std::size_t>(gpu)]; }
  /// Which switches its node hangs on.
  int attachment(int gpu) const {
    return attachments_[static_cast<std::size_t>(nodes_[static_cast<std::size_t>(gpu)])];
  }
  /// Names GPUs, in this order, up to the exchange of equal nodes: node and attachment by order of
  /// appearance, and sort.
  std::vector<int> name(const std::vector<int>& gpus) const;

 private:
  std::vector<int> sorts_, nodes_;  // by device; -1: no GPU
  std::vector<int> attachments_;    // by node
};

}  // namespace sextant
