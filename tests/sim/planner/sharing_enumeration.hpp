#pragma once
#include <bit>
#include <functional>
#include <utility>
#include <vector>

#include "sim/planner/search.hpp"

namespace sextant {

/// All layouts whose data-parallel ranks share experts: every set of servers of the same tp and ep, each on
/// any equal GPUs of one node.
class SharingEnumeration {
 public:
  SharingEnumeration(const Scenario& scenario, std::function<void(const Layout&)> visit)
      : scenario_(scenario), gpus_(scenario.cluster.gpus()), visit_(std::move(visit)) {}
  void run() {
    const int all = static_cast<int>(gpus_.size());
    for (int tp = 1; tp <= all; ++tp)
      for (int ep = 2 * tp; ep <= all; ep += tp) {
        if (cut_obstacle(scenario_.model, {tp, ep})) continue;
        layout_ = {tp, 1, 0, {}, ep};
        add(0, (1U << gpus_.size()) - 1);
      }
  }

 private:
  bool can_share(unsigned chosen, int ep) const {
    if (std::popcount(chosen) != ep) return false;
    const Cluster& cluster = scenario_.cluster;
    const int first = gpus_[static_cast<std::size_t>(std::countr_zero(chosen))];
    const int other = layout_.replicas.empty() ? first : layout_.replicas.front().front().gpus.front();
    if (cluster.kind(first) != cluster.kind(other)) return false;
    for (std::size_t g = 0; g < gpus_.size(); ++g)
      if ((chosen >> g & 1U) != 0 && (cluster.kind(gpus_[g]) != cluster.kind(first) ||
                                      cluster.devices[static_cast<std::size_t>(gpus_[g])].node !=
                                          cluster.devices[static_cast<std::size_t>(first)].node))
        return false;
    return true;
  }

  /// Adds a server whose first GPU comes after the first ones of those before it.
  void add(unsigned from, unsigned left) {
    for (unsigned chosen = 1; chosen <= left; ++chosen) {
      if ((chosen & left) != chosen || (chosen & -chosen) <= from || !can_share(chosen, layout_.ep)) continue;
      std::vector<int> own;
      for (std::size_t g = 0; g < gpus_.size(); ++g)
        if ((chosen >> g & 1U) != 0) own.push_back(gpus_[g]);
      const auto before = layout_.replicas.size();
      const int layers = scenario_.model.architecture.layer_count();
      for (auto rank = own.begin(); rank != own.end(); rank += layout_.tp)
        layout_.replicas.push_back({{{0, layers}, std::vector<int>(rank, rank + layout_.tp), own}});
      layout_.dp = static_cast<int>(layout_.replicas.size());
      visit_(layout_);
      add(chosen & -chosen, left & ~chosen);
      layout_.replicas.resize(before);
    }
  }

  const Scenario& scenario_;
  std::vector<int> gpus_;
  std::function<void(const Layout&)> visit_;
  Layout layout_;
};

}  // namespace sextant
