#include "sim/planner/selections.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace sextant {
namespace {

std::size_t at(int index) {
  return static_cast<std::size_t>(index);
}

}  // namespace

std::vector<GpuPool> gpu_pools(const Cluster& cluster, const Sites& sites) {
  std::vector<GpuPool> pools;
  for (const int gpu : cluster.gpus()) {
    const auto same = [&](const GpuPool& pool) {
      return pool.node == sites.node(gpu) && pool.sort == sites.sort(gpu);
    };
    // GPUs come node by node: a pool of another node cannot come again.
    auto place = std::find_if(pools.rbegin(), pools.rend(), same);
    if (place == pools.rend()) {
      pools.push_back({sites.node(gpu), sites.attachment(gpu), sites.sort(gpu), {}});
      place = pools.rbegin();
    }
    place->gpus.push_back(gpu);
  }
  return pools;
}

double selection_count(const std::vector<GpuPool>& pools) {
  double count = 1;
  for (const GpuPool& pool : pools) count *= static_cast<double>(pool.gpus.size() + 1);
  return count;
}

std::vector<Counts> selections(const std::vector<GpuPool>& pools) {
  std::vector<Counts> result;
  Counts counts(pools.size(), 0);
  const auto extend = [&](auto&& self, std::size_t pool) -> void {
    if (pool == pools.size()) {
      if (std::any_of(counts.begin(), counts.end(), [](int n) { return n > 0; })) result.push_back(counts);
      return;
    }
    for (int n = static_cast<int>(pools[pool].gpus.size()); n >= 0; --n) {
      counts[pool] = n;
      self(self, pool + 1);
    }
    counts[pool] = 0;
  };
  extend(extend, 0);
  return result;
}

Selection canonical(const std::vector<GpuPool>& pools, const Counts& counts) {
  std::map<int, std::vector<std::pair<int, int>>> by_node;  // (sort, pool)
  for (std::size_t p = 0; p < pools.size(); ++p)
    if (counts[p] > 0) by_node[pools[p].node].emplace_back(pools[p].sort, static_cast<int>(p));
  std::vector<std::pair<std::vector<int>, std::vector<int>>> rows;  // what a node gives, and its pools
  for (auto& [node, own] : by_node) {
    std::sort(own.begin(), own.end());
    std::pair<std::vector<int>, std::vector<int>> row;
    row.first.push_back(pools[at(own.front().second)].attachment);
    for (const auto& [sort, pool] : own) {
      row.first.push_back(sort);
      row.first.push_back(counts[at(pool)]);
      row.second.push_back(pool);
    }
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end());
  Selection selection;
  for (auto& [key, own] : rows) {
    for (const int pool : own) {
      selection.pools.push_back(pool);
      selection.counts.push_back(counts[at(pool)]);
    }
    selection.key.push_back(std::move(key));
  }
  return selection;
}

std::string describe(const Cluster& cluster, const std::vector<GpuPool>& pools, const Counts& counts) {
  std::map<std::string, int> kinds;
  for (std::size_t p = 0; p < counts.size(); ++p)
    if (counts[p] > 0) kinds[cluster.kind(pools[p].gpus.front())] += counts[p];
  std::string text;
  for (const auto& [kind, count] : kinds)
    text.append(text.empty() ? "" : " + ").append(std::to_string(count)).append(" ").append(kind);
  return text;
}

}  // namespace sextant
