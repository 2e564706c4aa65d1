#pragma once
#include <optional>
#include <string>

#include "models/cost/collective_model.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {

/// Bus bandwidth at a curve's largest size, 10^9 B/s: bytes x ring steps / ranks / time.
double plateau_gbps(const CollectiveCurve&);

/// The group of so many ranks of one node as NCCL would see it: channels and compute capability from the
/// link's ring model, bandwidth from the plateaus of its measured groups, geometric in the number of ranks.
/// Throws InputError without a ring model.
CollectiveGroup group_of_link(const LinkProfile&, const std::string& op, int ranks);

/// Channels that a message to one peer of its node may take.
int send_channels(const NcclTuning&, const CollectiveGroup&);

/// The protocol NCCL takes for that size on one node: of its ring the fastest by its own tables (all_to_all:
/// by the bytes to one peer).
Protocol ring_protocol(const NcclTuning&, const CollectiveGroup&, const std::string& op, double bytes);

/// The line of that protocol, or of the nearest one that the operation has.
const ProtocolLine& protocol_line(const RingOperation&, Protocol);
double line_us(const ProtocolLine&, const std::string& op, int ranks, double bytes);

/// Microseconds of a group on one node that nobody measured: the line of NCCL's protocol, times measured over
/// line of the next smaller and larger measured groups at that size. nullopt if the link has no such ring
/// operation.
std::optional<double> modelled_us(const NcclTuning&, const LinkProfile&, const std::string& op, int ranks,
                                  double bytes);

/// The same at sizes by powers of two, graded scaled, with the spread of groups left out of the fit.
std::optional<TransferCurve> modelled_curve(const NcclTuning&, const LinkProfile&, const std::string& op,
                                            int ranks);

/// The link with a modelled curve for every operation of its ring model that has none of so many ranks.
LinkProfile with_group_curves(const LinkProfile&, int ranks);

/// Size of a group over several nodes.
struct NodeGroup {
  int ranks = 4;
  int nodes = 2;
  int nics = 1;  ///< of each node; each carries what the inter link's profile says
  std::string cpu = "intel";
};

/// The group as NCCL's tables see it: `intra` inside each node, the line of `inter` between them. Throws
/// InputError if `intra` has no ring model.
CollectiveGroup group_across_nodes(const LinkProfile& intra, const LinkProfile& inter, const NodeGroup&);

/// Seconds with that algorithm and protocol: base, hop and bandwidth inside a node as fitted, the network's
/// hop by NCCL's tables, its bandwidth the plateau of `inter`. A tree's bandwidth is NCCL's share of that; of
/// other algorithms than ring and tree, NCCL's own estimate with that plateau. Throws InputError if `inter`
/// has no all_reduce or NCCL no such protocol for the group.
double timed_across_nodes(const NcclTuning&, const LinkProfile& intra, const LinkProfile& inter,
                          const NodeGroup&, const std::string& op, Algorithm, Protocol, double bytes);

/// What joins a tensor-parallel group over several nodes: `inter` with curves of exactly that group, for
/// all_reduce, all_gather and reduce_scatter, in the algorithm that NCCL would choose at each size.
LinkProfile across_nodes(const LinkProfile& intra, const LinkProfile& inter, const NodeGroup&);

}  // namespace sextant
