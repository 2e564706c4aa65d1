#include "sim/fabric/path_graph.hpp"

#include <algorithm>
#include <boost/graph/dijkstra_shortest_paths.hpp>
#include <boost/graph/filtered_graph.hpp>
#include <cmath>
#include <limits>

namespace sextant {
namespace {

constexpr double picoseconds_per_us = 1e6;

bool passes_on(DeviceKind kind) {
  return kind != DeviceKind::gpu && kind != DeviceKind::nic;
}

}  // namespace

/// The edges a search may take: out of its source or a device that passes bytes on, into such a device or a
/// target.
struct PathGraph::Permitted {
  const Graph* graph = nullptr;
  std::size_t source = 0;
  const std::vector<char>* passes_on = nullptr;
  const std::vector<char>* enters = nullptr;

  bool operator()(const Graph::edge_descriptor& edge) const {
    const std::size_t from = boost::source(edge, *graph);
    return (from == source || (*passes_on)[from] != 0) && (*enters)[boost::target(edge, *graph)] != 0;
  }
};

/// Notes by which link each vertex is reached, which tells parallel links apart.
struct PathGraph::NoteLink : boost::default_dijkstra_visitor {
  explicit NoteLink(std::vector<int>& links) : link_to(&links) {}
  template <class SomeGraph>
  void edge_relaxed(const Graph::edge_descriptor& edge, const SomeGraph& graph) const {
    (*link_to)[boost::target(edge, graph)] = graph[edge].link;
  }
  std::vector<int>* link_to;
};

PathGraph::PathGraph(const Cluster& cluster, std::vector<int> links) {
  const auto link = [&](int index) -> const Link& { return cluster.links[static_cast<std::size_t>(index)]; };
  for (const int index : links) {
    devices_.push_back(link(index).from);
    devices_.push_back(link(index).to);
  }
  std::sort(devices_.begin(), devices_.end());
  devices_.erase(std::unique(devices_.begin(), devices_.end()), devices_.end());
  for (const int device : devices_)
    passes_on_.push_back(passes_on(cluster.devices[static_cast<std::size_t>(device)].kind) ? 1 : 0);

  // The search keeps the first of equal edges it meets: the widest come first.
  std::stable_sort(links.begin(), links.end(), [&](int a, int b) { return link(a).gbps > link(b).gbps; });
  auto graph = std::make_unique<Graph>(devices_.size());
  for (const int index : links) {
    const Edge edge{{std::llround(link(index).latency_us * picoseconds_per_us), 1}, index};
    const auto from = static_cast<std::size_t>(vertex(link(index).from));
    const auto to = static_cast<std::size_t>(vertex(link(index).to));
    boost::add_edge(from, to, edge, *graph);
    boost::add_edge(to, from, edge, *graph);
  }
  graph_ = std::move(graph);
}

int PathGraph::vertex(int device) const {
  const auto found = std::lower_bound(devices_.begin(), devices_.end(), device);
  return found == devices_.end() || *found != device ? -1 : static_cast<int>(found - devices_.begin());
}

std::vector<std::vector<int>> PathGraph::paths(int from, const std::vector<int>& targets) const {
  std::vector<std::vector<int>> result(targets.size());
  const int start = vertex(from);
  if (start < 0) return result;
  const auto source = static_cast<std::size_t>(start);

  std::vector<char> enters = passes_on_;
  for (const int target : targets)
    if (const int v = vertex(target); v >= 0) enters[static_cast<std::size_t>(v)] = 1;
  const boost::filtered_graph<Graph, Permitted> permitted(*graph_,
                                                          {graph_.get(), source, &passes_on_, &enters});

  std::vector<std::size_t> previous(devices_.size());
  std::vector<int> link_to(devices_.size(), -1);
  std::vector<Cost> cost(devices_.size());
  constexpr Cost none{std::numeric_limits<std::int64_t>::max(), std::numeric_limits<int>::max()};
  boost::dijkstra_shortest_paths(permitted, source,
                                 boost::predecessor_map(previous.data())
                                     .distance_map(cost.data())
                                     .weight_map(boost::get(&Edge::cost, permitted))
                                     .distance_compare(std::less<Cost>())
                                     .distance_combine([](const Cost& a, const Cost& b) {
                                       return Cost{a.picoseconds + b.picoseconds, a.links + b.links};
                                     })
                                     .distance_inf(none)
                                     .distance_zero(Cost{})
                                     .visitor(NoteLink(link_to)));
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const int end = vertex(targets[i]);
    if (end < 0 || cost[static_cast<std::size_t>(end)] == none) continue;
    for (auto at = static_cast<std::size_t>(end); at != source; at = previous[at])
      result[i].push_back(link_to[at]);
    std::reverse(result[i].begin(), result[i].end());
  }
  return result;
}

std::vector<int> PathGraph::path(int from, int to) const {
  return paths(from, {to}).front();
}

}  // namespace sextant
