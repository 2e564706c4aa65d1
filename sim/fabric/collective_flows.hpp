#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/cost/nccl_tuning.hpp"
#include "sim/fabric/transfers.hpp"

namespace sextant {

/// How a collective moves its bytes. Ring and tree are NCCL's; one_shot (every GPU reads all of every
/// other's) and two_shot (reduce-scatter, then all-gather, each GPU with every other) an engine's own kernels
/// over peer access; direct is all-to-all; hierarchical reduces inside each node, between nodes rail by rail,
/// and gathers inside.
enum class CollectiveShape { ring, tree, one_shot, two_shot, direct, hierarchical };
std::string to_string(CollectiveShape);

/// Transfers that go at once, after a time in which no byte counts.
struct CollectivePhase {
  double latency_us = 0;
  std::vector<Transfer> transfers;
};

/// A collective as flows over the graph.
struct CollectiveFlows {
  CollectiveShape shape = CollectiveShape::ring;
  std::optional<Protocol> protocol;  ///< of NCCL's; none for an engine's own kernel
  int channels = 0;                  ///< thread blocks, one a multiprocessor, while it lasts
  std::vector<CollectivePhase> phases;
};

struct CollectiveQuestion {
  std::string op;         ///< all_reduce, all_gather, reduce_scatter, all_to_all
  std::vector<int> gpus;  ///< devices, in ring order
  double bytes = 0;       ///< as nccl-tests' size
  std::optional<CollectiveShape> shape = std::nullopt;  ///< none: what NCCL chooses
};

/// Makes flows of collectives. What one connection reaches by itself, and the time before bytes count, come
/// from the link's profile: base and hop of NCCL's protocol, the plateau of the group; between nodes NCCL's
/// hop of the network and the plateau of its profile. Capacities and who meets whom come from the graph.
/// Domain: groups that have their links to themselves take what the calibrated curve says within 3 to 7 %
/// median and 14 to 17 % at p90 over all sizes (sim/README.md); with others beside them, what max-min sharing
/// leaves.
class CollectivePlanner {
 public:
  /// Both must outlive it.
  CollectivePlanner(NcclPaths& paths, const Topology& topology);

  /// Throws InputError for fewer than two GPUs, an unknown operation, a shape that the operation does not
  /// have, or links whose profiles know no such group.
  CollectiveFlows flows(const CollectiveQuestion&) const;
  /// Seconds of the whole, with `background` beside every phase from its start.
  double seconds(const CollectiveFlows&, const std::vector<Transfer>& background = {}) const;
  /// The share of a GPU's multiprocessors that its channels keep from other work.
  double multiprocessor_share(const CollectiveFlows&, int gpu) const;

 private:
  struct Group;
  Group group(const CollectiveQuestion&) const;
  CollectiveShape chosen(const CollectiveQuestion&, Group&) const;
  CollectiveFlows nccl_flows(const CollectiveQuestion&, Group&, CollectiveShape) const;
  CollectiveFlows kernel_flows(const CollectiveQuestion&, const Group&, CollectiveShape) const;
  CollectiveFlows hierarchical_flows(const CollectiveQuestion&, const Group&) const;

  NcclPaths* paths_;
  const Topology* topology_;
  NcclTuning tuning_;
};

}  // namespace sextant
