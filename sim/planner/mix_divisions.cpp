#include "sim/planner/mix_divisions.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>
#include <set>

namespace sextant {
namespace {

using Key = std::vector<std::vector<int>>;
/// Of each pool of a node, how many GPUs each model gets.
using NodeSplit = std::vector<std::vector<int>>;

/// Nodes that can be exchanged, each with its pools by sort.
struct NodeKind {
  std::vector<std::vector<std::size_t>> nodes;
};

std::vector<NodeKind> node_kinds(const std::vector<GpuPool>& pools) {
  std::map<int, std::vector<std::size_t>> nodes;
  for (std::size_t p = 0; p < pools.size(); ++p) nodes[pools[p].node].push_back(p);
  std::map<std::vector<int>, NodeKind> kinds;
  for (auto& [node, own] : nodes) {
    std::sort(own.begin(), own.end(),
              [&](std::size_t a, std::size_t b) { return pools[a].sort < pools[b].sort; });
    std::vector<int> name = {pools[own.front()].attachment};
    for (const std::size_t p : own) {
      name.push_back(pools[p].sort);
      name.push_back(static_cast<int>(pools[p].gpus.size()));
    }
    kinds[name].nodes.push_back(own);
  }
  std::vector<NodeKind> result;
  for (auto& [name, kind] : kinds) result.push_back(std::move(kind));
  return result;
}

/// Ways to write `total` as a sum of `parts` numbers from 0.
void compositions(int total, std::size_t parts, std::vector<int>& so_far,
                  const std::function<void(const std::vector<int>&)>& visit) {
  if (parts == 1) {
    so_far.push_back(total);
    visit(so_far);
    so_far.pop_back();
    return;
  }
  for (int first = total; first >= 0; --first) {
    so_far.push_back(first);
    compositions(total - first, parts - 1, so_far, visit);
    so_far.pop_back();
  }
}

double choose(double of, double some) {
  double result = 1;
  for (double i = 1; i <= some; ++i) result *= (of - some + i) / i;
  return result;
}

double splits_of_node(const std::vector<GpuPool>& pools, const std::vector<std::size_t>& node,
                      std::size_t models) {
  double count = 1;
  const auto parts = static_cast<double>(models);
  for (const std::size_t p : node)
    count *= choose(static_cast<double>(pools[p].gpus.size()) + parts - 1, parts - 1);
  return count;
}

std::vector<NodeSplit> node_splits(const std::vector<GpuPool>& pools, const std::vector<std::size_t>& node,
                                   std::size_t models) {
  std::vector<NodeSplit> splits;
  NodeSplit split;
  const std::function<void(std::size_t)> extend = [&](std::size_t at) {
    if (at == node.size()) return splits.push_back(split);
    std::vector<int> so_far;
    compositions(static_cast<int>(pools[node[at]].gpus.size()), models, so_far,
                 [&](const std::vector<int>& counts) {
                   split.push_back(counts);
                   extend(at + 1);
                   split.pop_back();
                 });
  };
  extend(0);
  return splits;
}

/// Puts the divisions together: their GPUs, and each set of shares once.
class Collector {
 public:
  Collector(const std::vector<GpuPool>& pools, std::size_t models) : pools_(pools), models_(models) {}

  void add(std::vector<Counts> counts) {
    for (const Counts& own : counts)
      if (std::accumulate(own.begin(), own.end(), 0) == 0) return;
    GpuDivision division{std::move(counts), {}};
    std::vector<Key> keys;
    for (std::size_t m = 0; m < models_; ++m) {
      division.shares.push_back(share(division.counts, m));
      keys.push_back(division.shares.back().key);
    }
    if (known_.insert(std::move(keys)).second) result_.all.push_back(std::move(division));
  }
  GpuDivisions result_;

 private:
  GpuShare share(const std::vector<Counts>& counts, std::size_t model) const {
    const Selection selection = canonical(pools_, counts[model]);
    GpuShare result{selection.key, {}};
    for (std::size_t i = 0; i < selection.pools.size(); ++i) {
      const auto pool = static_cast<std::size_t>(selection.pools[i]);
      int before = 0;
      for (std::size_t m = 0; m < model; ++m) before += counts[m][pool];
      const auto first = pools_[pool].gpus.begin() + before;
      result.gpus.insert(result.gpus.end(), first, first + selection.counts[i]);
    }
    return result;
  }

  const std::vector<GpuPool>& pools_;
  std::size_t models_;
  std::set<std::vector<Key>> known_;
};

/// Equal nodes get their splits in one order only.
void add_all(const std::vector<GpuPool>& pools, const std::vector<NodeKind>& kinds, std::size_t models,
             Collector& collector) {
  std::vector<std::vector<NodeSplit>> splits;
  for (const NodeKind& kind : kinds) splits.push_back(node_splits(pools, kind.nodes.front(), models));
  std::vector<Counts> counts(models, Counts(pools.size(), 0));
  const std::function<void(std::size_t, std::size_t, std::size_t)> extend =
      [&](std::size_t kind, std::size_t node, std::size_t least) {
        if (kind == kinds.size()) return collector.add(counts);
        const std::vector<std::vector<std::size_t>>& nodes = kinds[kind].nodes;
        if (node == nodes.size()) return extend(kind + 1, 0, 0);
        for (std::size_t s = least; s < splits[kind].size(); ++s) {
          for (std::size_t p = 0; p < nodes[node].size(); ++p)
            for (std::size_t m = 0; m < models; ++m) counts[m][nodes[node][p]] = splits[kind][s][p][m];
          extend(kind, node + 1, s);
        }
      };
  extend(0, 0, 0);
}

/// Each model the next GPUs along the nodes.
void add_runs(const std::vector<GpuPool>& pools, const std::vector<NodeKind>& kinds, std::size_t models,
              std::size_t most, Collector& collector) {
  std::vector<std::size_t> line;  // the pool of each GPU
  for (const NodeKind& kind : kinds)
    for (const auto& node : kind.nodes)
      for (const std::size_t p : node) line.insert(line.end(), pools[p].gpus.size(), p);
  std::vector<std::size_t> order(models);
  std::iota(order.begin(), order.end(), 0U);
  const double orders = std::tgamma(static_cast<double>(models) + 1);
  const auto ways = [&](std::size_t step) {
    const auto cuts = static_cast<double>((line.size() + step - 1) / step - 1);
    return orders * choose(cuts, static_cast<double>(models) - 1);
  };
  std::size_t step = 1;
  while (ways(step) > static_cast<double>(most) && line.size() / (2 * step) >= models) step *= 2;
  do {
    std::vector<Counts> counts(models, Counts(pools.size(), 0));
    const std::function<void(std::size_t, std::size_t)> extend = [&](std::size_t at, std::size_t from) {
      const bool last = at + 1 == models;
      for (std::size_t to = last ? line.size() : from + step; to < line.size() || last; to += step) {
        Counts& own = counts[order[at]];
        std::fill(own.begin(), own.end(), 0);
        for (std::size_t g = from; g < to; ++g) ++own[line[g]];
        if (last) return collector.add(counts);
        extend(at + 1, to);
      }
    };
    extend(0, 0);
  } while (std::next_permutation(order.begin(), order.end()));
}

}  // namespace

GpuDivisions gpu_divisions(const std::vector<GpuPool>& pools, std::size_t models, std::size_t most) {
  const std::vector<NodeKind> kinds = node_kinds(pools);
  double ways = 1;
  for (const NodeKind& kind : kinds) {
    const auto nodes = static_cast<double>(kind.nodes.size());
    ways *= choose(splits_of_node(pools, kind.nodes.front(), models) + nodes - 1, nodes);
  }
  Collector collector(pools, models);
  collector.result_.complete = ways <= static_cast<double>(most);
  if (collector.result_.complete)
    add_all(pools, kinds, models, collector);
  else
    add_runs(pools, kinds, models, most, collector);
  return std::move(collector.result_);
}

int spread(const std::vector<GpuPool>& pools, const GpuDivision& division) {
  int touched = 0;
  for (const Counts& counts : division.counts) {
    std::set<int> nodes;
    for (std::size_t p = 0; p < pools.size(); ++p)
      if (counts[p] > 0) nodes.insert(pools[p].node);
    touched += static_cast<int>(nodes.size());
  }
  return touched;
}

}  // namespace sextant
