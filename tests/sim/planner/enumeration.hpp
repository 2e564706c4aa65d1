#pragma once
#include <bit>
#include <functional>
#include <vector>

#include "sim/planner/search.hpp"

namespace sextant {

/// All layouts of a small cluster, one after another.
class Enumeration {
 public:
  using Replica = std::vector<StagePlacement>;

  Enumeration(const Scenario& scenario, std::function<void(const Layout&)> visit)
      : scenario_(scenario), gpus_(scenario.cluster.gpus()), visit_(std::move(visit)) {
    const unsigned all = (1U << gpus_.size()) - 1;
    for (unsigned chosen = 1; chosen <= all; ++chosen) replicas_.push_back(replicas_on(chosen));
  }
  void run() { add(0, (1U << gpus_.size()) - 1); }

 private:
  std::vector<Replica> replicas_on(unsigned chosen) const {
    std::vector<Replica> result;
    const int count = std::popcount(chosen), layers = scenario_.model.architecture.layer_count();
    for (int tp = 1; tp <= count; ++tp) {
      if (count % tp != 0 || count / tp > layers || tensor_parallel_obstacle(scenario_.model, tp)) continue;
      Replica replica;
      const std::function<void(unsigned, int)> extend = [&](unsigned left, int begin) {
        if (left == 0) {
          if (begin == layers) result.push_back(replica);
          return;
        }
        for (unsigned group = 1; group <= left; ++group) {
          if ((group & left) != group || std::popcount(group) != tp) continue;
          for (int end = begin + 1; end <= layers; ++end) {
            for (std::size_t lead = 0; lead < gpus_.size(); ++lead) {
              if ((group >> lead & 1U) == 0) continue;
              StagePlacement stage{{begin, end}, {gpus_[lead]}};
              for (std::size_t g = 0; g < gpus_.size(); ++g)
                if (g != lead && (group >> g & 1U) != 0) stage.gpus.push_back(gpus_[g]);
              replica.push_back(stage);
              extend(left & ~group, end);
              replica.pop_back();
            }
          }
        }
      };
      extend(chosen, 0);
    }
    return result;
  }

  /// Adds a replica whose first GPU comes after the first ones of those before it.
  void add(unsigned from, unsigned left) {
    for (unsigned chosen = 1; chosen <= left; ++chosen) {
      if ((chosen & left) != chosen || (chosen & -chosen) <= from) continue;
      for (const Replica& replica : replicas_[chosen - 1]) {
        layout_.replicas.push_back(replica);
        layout_.dp = static_cast<int>(layout_.replicas.size());
        visit_(layout_);
        add(chosen & -chosen, left & ~chosen);
        layout_.replicas.pop_back();
      }
    }
  }

  const Scenario& scenario_;
  std::vector<int> gpus_;
  std::function<void(const Layout&)> visit_;
  std::vector<std::vector<Replica>> replicas_;
  Layout layout_;
};

}  // namespace sextant
