#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/base/figure.hpp"
#include "models/profile/gpu_profile.hpp"

namespace sextant {

/// Time of a message or collective against its size on one measured group.
struct TransferCurve {
  Grade grade = Grade::assumed;
  std::string source;
  std::vector<double> bytes;  ///< strictly increasing; as nccl-tests' size
  std::vector<double> us;     ///< positive
  Spread spread;
  /// Log-linear between points; the first point's time below them, the last one's rate above. Never falls
  /// with size.
  double time_us(double size) const;
};

/// One collective on a group of `ranks` GPUs joined by this link.
struct CollectiveCurve {
  std::string op;  ///< all_reduce, all_gather, reduce_scatter, all_to_all
  int ranks = 2;
  TransferCurve curve;
  std::string impl = "nccl";  ///< nccl, or custom: an engine's own kernel over peer access
};

/// What is known of one class of link: how fast NCCL, and an engine's own kernels, move data over it.
struct LinkProfile {
  std::string name;  ///< "nvlink4", "pcie-gen5", "roce-200"
  std::string link;  ///< nvlink, pcie, roce, ib, tcp
  std::string provenance;
  double line_gbps = 0;  ///< 10^9 B/s each way, what the wire carries
  TransferCurve send;    ///< one message, one way, GPU to GPU, over the direct path (P2P or GPUDirect)
  std::optional<TransferCurve> staged;  ///< the same through host memory
  std::vector<CollectiveCurve> collectives;

  /// NCCL's curve of an operation on exactly so many ranks, or nullptr.
  const TransferCurve* collective(const std::string& op, int ranks) const;
  /// The same of an engine's own kernel.
  const TransferCurve* custom(const std::string& op, int ranks) const;
};

/// The same link where every message is staged through host memory: each step of a collective's ring (2 (n -
/// 1) of an all-reduce, n - 1 of the others, each moving 1/n of the bytes) takes longer by what staging adds
/// to one message. Custom kernels need peer access, so their curves are dropped. Throws InputError if the
/// profile has no staged curve.
LinkProfile through_host_memory(const LinkProfile&);

LinkProfile read_link_profile(const JsonValue&);
std::string write_link_profile(const LinkProfile&);
/// Throws InputError naming the known ones.
LinkProfile find_link_profile(const std::string& name);

}  // namespace sextant
