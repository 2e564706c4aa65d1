#pragma once
#include <boost/graph/adjacency_list.hpp>
#include <cstdint>
#include <memory>
#include <vector>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// The links of one kind of traffic (PCIe of a node, NVLink of a node, the network between nodes) as a graph,
/// and the cheapest paths over it. Rule: least latency, then fewest links, then the widest of equal parallel
/// links. Only switches and root complexes pass bytes on; GPUs and NICs are ends.
class PathGraph {
 public:
  /// `links` are indices into Cluster::links.
  PathGraph(const Cluster&, std::vector<int> links);

  /// Indices of the links from one device to another, in order; empty where there is no way.
  std::vector<int> path(int from, int to) const;
  /// The same for each of `targets`, by one search.
  std::vector<std::vector<int>> paths(int from, const std::vector<int>& targets) const;

 private:
  /// What a path costs; smaller is better.
  struct Cost {
    std::int64_t picoseconds = 0;
    int links = 0;
    auto operator<=>(const Cost&) const = default;
  };
  struct Edge {
    Cost cost;
    int link = 0;
  };
  using Graph = boost::adjacency_list<boost::vecS, boost::vecS, boost::directedS, boost::no_property, Edge>;
  struct Permitted;
  struct NoteLink;

  int vertex(int device) const;  ///< -1: not on any of these links

  std::unique_ptr<const Graph> graph_;  ///< behind a pointer, for Boost's graphs copy where they could move
  std::vector<int> devices_;            ///< by vertex, increasing
  std::vector<char> passes_on_;         ///< by vertex
};

}  // namespace sextant
