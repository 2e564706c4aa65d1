#pragma once
#include <limits>
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
  /// Of the points, each predicted from its neighbours (leave one size out); none if not known.
  std::optional<double> median_error{}, p90_error{};
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
  /// From this size the switch reduced (NVLS), so that no ring is to be judged by it; infinite: nowhere.
  double nvls_from = std::numeric_limits<double>::infinity();
};

/// Time of one NCCL protocol on groups of any size: base + hop x steps + bytes x steps / ranks / busbw, with
/// 2 (n - 1) steps in an all-reduce and n - 1 in the others.
struct ProtocolLine {
  std::string protocol;  ///< ll, ll128, simple
  double base_us = 0;
  double hop_us = 0;
  double busbw_gbps = 0;
};

/// How well groups were predicted that a fit had not seen: measured over predicted.
struct LeftOutErrors {
  Spread spread;
  double median_error = 0;
  double p90_error = 0;
};

/// One operation of a group nobody measured.
struct RingOperation {
  std::string op;
  std::vector<ProtocolLine> protocols;
  LeftOutErrors between;  ///< groups between measured ones in size
  LeftOutErrors beyond;   ///< groups larger or smaller than all measured ones
};

/// Messages so small that NCCL gives them one channel: what they are spared of a base that is several
/// channels'.
struct OneChannel {
  double below_bytes_per_rank = 0;
  double saves_us = 0;
  std::string source;
};

/// What groups of other sizes than the measured ones take, in NCCL's terms. How NCCL chooses among the
/// protocols follows from the compute capability and the channels.
struct RingModel {
  Grade grade = Grade::assumed;
  std::string source;
  double compute_capability = 0;  ///< ten times major.minor
  int channels = 2;
  std::optional<OneChannel> one_channel{};
  int send_channels = 0;  ///< to one peer, where the curves ask for others than NCCL's tables; 0: the tables'
  std::vector<RingOperation> operations;
  const RingOperation* operation(const std::string& op) const;  ///< nullptr if not there
};

/// What machines of a link's class reach with large messages, 10^9 B/s: their boards, sockets and switches
/// differ, and the curves are of one of them.
struct HostRange {
  double busbw_low = 0, busbw_high = 0;  ///< of an all-reduce
  double send_low = 0, send_high = 0;    ///< one message, one way
  Grade grade = Grade::assumed;
  std::string source;
};

/// What is known of one class of link: how fast NCCL, and an engine's own kernels, move data over it.
struct LinkProfile {
  std::string name;  ///< "nvlink4", "pcie-gen5", "roce-200"
  std::string link;  ///< nvlink, pcie, roce, ib, tcp
  std::string provenance;
  double line_gbps = 0;      ///< 10^9 B/s each way, what the wire carries
  std::optional<int> mtu{};  ///< bytes, at which its figures hold; nullopt: not said
  TransferCurve send;        ///< one message, one way, GPU to GPU, over the direct path (P2P or GPUDirect)
  std::optional<TransferCurve> staged;  ///< the same through host memory
  std::vector<CollectiveCurve> collectives;
  std::optional<RingModel> ring;  ///< for groups without a curve
  /// What a collective of a pass takes beyond its curve, whose ranks start together: the last one's lateness.
  std::optional<Figure> rank_wait_us{};
  /// Where the curves are to stand for any machine of the class; none: they are of the machine in question.
  std::optional<HostRange> hosts{};

  /// NCCL's curve of an operation on exactly so many ranks, or nullptr.
  const TransferCurve* collective(const std::string& op, int ranks) const;
  /// The same of an engine's own kernel.
  const TransferCurve* custom(const std::string& op, int ranks) const;
};

/// The same link where every message is staged through host memory: each step of a collective's ring (2 (n -
/// 1) of an all-reduce, n - 1 of the others, each moving 1/n of the bytes) takes longer by what staging adds
/// to one message. Custom kernels need peer access, so their curves are dropped, and so is the ring model.
/// Throws InputError if the profile has no staged curve.
LinkProfile through_host_memory(const LinkProfile&);

/// Whether a link profile can hold that operation.
bool link_operation(const std::string& op);

/// The same link for an engine that leaves every collective to NCCL: no custom curves.
LinkProfile by_nccl_alone(LinkProfile);

LinkProfile read_link_profile(const JsonValue&);
std::string write_link_profile(const LinkProfile&);
/// Throws InputError naming the known ones.
LinkProfile find_link_profile(const std::string& name);

}  // namespace sextant
