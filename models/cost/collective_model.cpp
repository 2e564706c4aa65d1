#include "models/cost/collective_model.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "models/base/error.hpp"

namespace sextant {
namespace {

std::size_t at(Algorithm a) {
  return static_cast<std::size_t>(a);
}
std::size_t at(Protocol p) {
  return static_cast<std::size_t>(p);
}

/// The column of a table by number of nodes.
std::size_t node_column(int nodes) {
  return nodes == 1 ? 0 : nodes == 2 ? 1 : 2;
}

/// NCCL's formulas for one group, operation and size.
class Model {
 public:
  Model(const NcclTuning& tuning, const CollectiveGroup& group, const std::string& op, double bytes)
      : tuning_(tuning),
        group_(group),
        generation_(tuning.generation(group.compute_capability)),
        op_(op),
        bytes_(bytes),
        nodes_(group.nodes),
        column_(node_column(group.nodes)) {}

  bool enabled(Algorithm algorithm, Protocol protocol) const {
    const bool all_reduce = op_ == "all_reduce";
    const bool hops = intra(algorithm, protocol) && network(algorithm, protocol);
    if (!hops || !tuning_.base_us[at(algorithm)][at(protocol)]) return false;
    if (protocol == Protocol::ll128 && !(group_.nvlink && (nodes_ == 1 || group_.nic_near))) return false;
    switch (algorithm) {
      case Algorithm::ring:
        return true;
      case Algorithm::tree:
        return all_reduce;
      case Algorithm::nvls:
        return group_.multicast && group_.channels >= 2 && group_.ranks > 2;
      case Algorithm::nvls_tree:
        return group_.multicast && all_reduce && nodes_ > 1 && group_.channels >= 2;
      case Algorithm::pat:
        return !all_reduce && nodes_ > 1 && group_.ranks == nodes_;
    }
    return false;
  }

  AlgorithmTime time(Algorithm algorithm, Protocol protocol) const {
    AlgorithmTime result{algorithm, protocol, latency(algorithm, protocol), bandwidth(algorithm, protocol),
                         0};
    if (algorithm == Algorithm::ring && protocol == Protocol::simple && nodes_ > 1 &&
        bytes_ / (group_.channels * n()) >= tuning_.ring_simple_network_bytes)
      result.latency_us *= generation_.ring_simple_network_factor;
    if (algorithm == Algorithm::tree) result.algorithm_gbps *= tree_correction(tuning_, protocol, bytes_);
    result.us = result.latency_us + bytes_ / (1e3 * result.algorithm_gbps);
    return result;
  }

 private:
  double n() const { return group_.ranks; }
  double log_nodes() const { return std::floor(std::log2(nodes_)); }

  std::optional<double> intra(Algorithm a, Protocol p) const {
    return (group_.nvlink ? tuning_.nvlink_us : tuning_.pci_us)[at(a)][at(p)];
  }

  std::optional<double> network(Algorithm a, Protocol p) const {
    const bool one_each = group_.ranks == nodes_ && a == Algorithm::ring;
    const auto& us = tuning_.network_us[at(one_each ? Algorithm::tree : a)][at(p)];
    if (!us) return std::nullopt;
    return *us + group_.network_latency_us * (p == Protocol::simple ? 2 : 1);
  }

  double overhead(Protocol p) const {
    if (nodes_ == 1) return 0;
    return tuning_.network_overhead_us.at(group_.cpu) *
           (p == Protocol::simple ? tuning_.simple_overhead_factor : 1);
  }

  double latency(Algorithm a, Protocol p) const {
    const double base = *tuning_.base_us[at(a)][at(p)], hop = *intra(a, p), net = *network(a, p);
    switch (a) {
      case Algorithm::ring: {
        const double crossing = ring_network_steps(op_, nodes_);
        return base + (ring_steps(op_, group_.ranks) - crossing) * std::max(hop, overhead(p)) +
               crossing * net;
      }
      case Algorithm::tree:
        return base + 2 * ((group_.ranks_per_node() - 1) * hop + log_nodes() * net);
      case Algorithm::nvls:
        return hop + (nodes_ > 1 ? net : 0);
      case Algorithm::nvls_tree:
        return base + hop + 2 * log_nodes() * net;
      case Algorithm::pat:
        return base + log_nodes() * net / tuning_.pat_network_divisor + tuning_.pat_rank_us * n();
    }
    return 0;
  }

  double most_ll() const {
    if (nodes_ == 1) return generation_.ll[0];
    const std::string& row = tuning_.ll_between_nodes.at(group_.cpu);
    for (const NcclGeneration& candidate : tuning_.generations)
      if (candidate.name == row) return candidate.ll[column_];
    return generation_.ll[column_];
  }

  double ring_bus(Protocol p) const {
    const double bus = ring_gbps(group_);
    if (p == Protocol::ll) return std::min(most_ll(), tuning_.ring_ll_share * bus);
    if (p == Protocol::ll128)
      return std::min(tuning_.ring_ll128_share * bus,
                      group_.channels * generation_.ring_ll128_channel[column_]);
    return bus;
  }

  double tree_bus(Protocol p) const {
    const double bus =
        std::min(tuning_.tree_share * tree_gbps(group_), group_.channels * generation_.tree_channel[column_]);
    if (p == Protocol::ll) return std::min(bus / tuning_.tree_ll_divisor, most_ll());
    if (p == Protocol::ll128)
      return std::min(bus * (nodes_ == 1 ? tuning_.tree_ll128_one_node_share : tuning_.tree_ll128_share),
                      group_.channels * generation_.tree_ll128_channel[column_]);
    return bus;
  }

  double nvls_bus(Algorithm a) const {
    double bus = group_.intra_gbps * generation_.nvls_efficiency * (group_.channels - 1.0) / group_.channels;
    bus *= op_ == "all_reduce" ? 2 : (group_.ranks_per_node() - 1) / group_.ranks_per_node();
    const bool tree = a == Algorithm::nvls_tree;
    if (nodes_ > 1) bus = std::min(bus, group_.inter_gbps * (tree && nodes_ <= 2 ? 2 : 1));
    return tree ? std::min(bus, group_.channels * generation_.nvls_tree_channel[column_]) : bus;
  }

  double bandwidth(Algorithm a, Protocol p) const {
    const double per_step = n() / ring_steps(op_, group_.ranks);
    switch (a) {
      case Algorithm::ring:
        return ring_bus(p) * per_step;
      case Algorithm::tree:
        return tree_bus(p) / 2;
      case Algorithm::nvls:
      case Algorithm::nvls_tree:
        return nvls_bus(a) * (op_ == "all_reduce" ? per_step : 1);
      case Algorithm::pat:
        return ring_gbps(group_) * tuning_.pat_share;
    }
    return 0;
  }

  const NcclTuning& tuning_;
  const CollectiveGroup& group_;
  const NcclGeneration& generation_;
  const std::string& op_;
  double bytes_;
  int nodes_;
  std::size_t column_;
};

void check(const CollectiveGroup& group, const std::string& op) {
  if (op != "all_reduce" && op != "all_gather" && op != "reduce_scatter")
    throw InputError(
        fmt::format("collective: found {}, expected all_reduce, all_gather or reduce_scatter", op));
  if (group.ranks < 2 || group.nodes < 1 || group.nodes > group.ranks)
    throw InputError(fmt::format(
        "collective: found {} ranks on {} nodes, expected 2 or more, and no more nodes than ranks",
        group.ranks, group.nodes));
  if (!(group.ranks == group.nodes || group.intra_gbps > 0) || (group.nodes > 1 && !(group.inter_gbps > 0)))
    throw InputError(
        "collective: found a group without bandwidth, expected more than 0 on every link it uses");
  if (group.cpu != "amd" && group.cpu != "intel" && group.cpu != "other")
    throw InputError(fmt::format("collective: found cpu '{}', expected amd, intel or other", group.cpu));
}

}  // namespace

double ring_steps(const std::string& op, int ranks) {
  return (op == "all_reduce" ? 2.0 : 1.0) * (ranks - 1);
}

double ring_network_steps(const std::string& op, int nodes) {
  return (op == "all_reduce" ? 2.0 : 1.0) * (nodes - 1);
}

double tree_correction(const NcclTuning& tuning, Protocol protocol, double bytes) {
  const std::vector<double>& factors = tuning.tree_correction[at(protocol)];
  const double place = std::floor(std::log2(bytes / tuning.tree_correction_bytes));
  if (!(place >= 0)) return factors.front();
  return place < static_cast<double>(factors.size()) ? factors[static_cast<std::size_t>(place)] : 1;
}

double ring_gbps(const CollectiveGroup& group) {
  if (group.nodes == 1) return group.intra_gbps;
  if (group.ranks == group.nodes) return group.inter_gbps;
  return std::min(group.intra_gbps, group.inter_gbps);
}

double tree_gbps(const CollectiveGroup& group) {
  if (group.nodes != 2) return ring_gbps(group);
  const double twice = 2 * group.inter_gbps;
  if (group.ranks == group.nodes) return twice;
  const double left = group.nvlink ? group.intra_gbps : group.intra_gbps - group.inter_gbps;
  return std::max(ring_gbps(group), std::min(twice, left));
}

std::vector<AlgorithmTime> nccl_times(const NcclTuning& tuning, const CollectiveGroup& group,
                                      const std::string& op, double bytes) {
  check(group, op);
  const Model model(tuning, group, op, bytes);
  std::vector<AlgorithmTime> times;
  for (std::size_t a = 0; a < algorithm_count; ++a) {
    for (std::size_t p = 0; p < protocol_count; ++p) {
      const auto algorithm = static_cast<Algorithm>(a);
      const auto protocol = static_cast<Protocol>(p);
      if (!model.enabled(algorithm, protocol)) continue;
      const AlgorithmTime time = model.time(algorithm, protocol);
      if (time.algorithm_gbps > 0) times.push_back(time);
    }
  }
  std::stable_sort(times.begin(), times.end(),
                   [](const AlgorithmTime& a, const AlgorithmTime& b) { return a.us < b.us; });
  return times;
}

}  // namespace sextant
