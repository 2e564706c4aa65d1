#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "models/base/json_reader.hpp"

namespace sextant {

// One struct per kind of DESIGN's measurement file; `us` is microseconds, one way, median.
struct GemmRow {
  std::string dtype;
  std::int64_t m = 0, n = 0, k = 0;
  double us = 0;
};
struct MoeRow {
  std::string dtype;
  std::int64_t tokens = 0, hidden = 0, intermediate = 0, experts = 0, topk = 0, tp = 1, ep = 1;
  std::string distribution;
  double us = 0;
};
struct AttentionPrefillRow {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0, batch = 0, new_tokens = 0, past_tokens = 0;
  std::string dtype, kv_dtype;
  double us = 0;
  std::int64_t window = 0;
};
struct AttentionDecodeRow {
  std::int64_t heads = 0, kv_heads = 0, head_dim = 0, batch = 0, context = 0;
  std::string dtype, kv_dtype;
  double us = 0;
  std::int64_t window = 0;
};
/// Multi-head latent attention; `heads` are those of the GPU, the model's / tp.
struct MlaPrefillRow {
  std::int64_t heads = 0, batch = 0, new_tokens = 0, past_tokens = 0;
  std::string dtype, kv_dtype;
  bool module = false;      ///< the whole attention module with its projections; false: the kernel alone
  std::string projections;  ///< type of a module's projections; empty for the kernel alone
  std::int64_t tp = 1;
  double us = 0;
};
/// As MlaPrefillRow, one new token per sequence, which `context` counts as well.
struct MlaDecodeRow {
  std::int64_t heads = 0, batch = 0, context = 0;
  std::string dtype, kv_dtype;
  bool module = false;
  std::string projections;
  std::int64_t tp = 1;
  double us = 0;
};
struct ElementwiseRow {
  std::string op;
  std::int64_t tokens = 0, width = 0;
  double us = 0;
};
struct CopyRow {
  std::string direction;
  double bytes = 0, us = 0;
};
struct CollectiveRow {
  std::string op;
  int ranks = 0, nodes = 1;
  std::string link;
  double bytes = 0, us = 0;
  std::string dtype, algo, proto, impl;
  std::optional<bool> nvls, gdr;
  std::optional<double> rate_gbps;  ///< line rate of the network between nodes, Gbit/s
  int channels = 0;                 ///< most channels NCCL was allowed; 0: its own choice
  std::optional<bool> graph, in_place;

  /// Whether NCCL was told what it would otherwise choose: algorithm, protocol or channels.
  bool forced() const { return !algo.empty() || !proto.empty() || channels > 0; }
};
struct PointToPointRow {
  int ranks = 2, nodes = 1;
  std::string link;
  double bytes = 0, us = 0;
  std::optional<bool> gdr;
  std::optional<double> rate_gbps;  ///< as CollectiveRow's
  std::string pair;                 ///< the two GPUs, "0-1"; empty: any
  int channels = 0;                 ///< as of a collective
  std::optional<bool> both_ways, graph;
};
/// A collective (or send) and a bf16 GEMM repeated side by side on two streams of each of `ranks` GPUs. Times
/// are those of one of a row of them, mean over the GPUs.
struct OverlapRow {
  std::string op;  ///< a collective's, "send" or "sendrecv"
  int ranks = 0, nodes = 1;
  std::string link;
  double bytes = 0;
  int channels = 0;      ///< NCCL was held to, no more and no fewer; 0: its own choice
  std::string priority;  ///< of the collective's stream: "same" as the GEMM's or "high"
  std::string dtype;     ///< of the GEMM
  std::int64_t m = 0, n = 0, k = 0;
  double collective_us_alone = 0, collective_us_beside = 0, gemm_us_alone = 0, gemm_us_beside = 0;
};
struct RdmaRow {
  std::string op, test;
  double bytes = 0;
  int qps = 1;
  std::optional<double> gbps, us;
  std::string device;
  int mtu = 0;
  double rate_gbps = 0;
  std::optional<bool> gdr, both_ways;
  std::string pair;  ///< the two ports, "a/mlx5_0-b/mlx5_0"; empty: any
};
struct TcpRow {
  int streams = 1;
  double gbps = 0;
  std::string pair;  ///< the two hosts, sender first; empty: any
};
struct PowerRow {
  double watts_limit = 0;
  std::string work;
  double relative_speed = 0;
  std::optional<double> relative_to_watts;  ///< nullopt: relative to the card's default limit
  std::optional<double> clock_mhz, watts;   ///< of the multiprocessors; drawn, where less than the limit
  std::int64_t tokens = 0;  ///< of an operator that is the work: rows of a GEMM, new tokens; 0: not said
};
struct StepRow {
  std::string model, weights, kv;
  int tp = 1, pp = 1;
  std::string phase;
  std::int64_t batch = 0, context = 0;
  int microbatches = 1;
  double ms = 0;
  std::vector<double> stage_ms;
  std::string engine;
  std::optional<bool> graph;
  int ep = 1;  ///< 1 or tp
};
struct ServingRow {
  std::string scenario;
  std::map<std::string, double> measured;
};
struct RequestsRow {
  std::string scenario, path;
};
/// Kinds read and kept, that nothing predicts yet (mamba), and context headers.
struct OtherRow {
  std::string kind, json;
};

using MeasurementRow =
    std::variant<GemmRow, MoeRow, AttentionPrefillRow, AttentionDecodeRow, ElementwiseRow, CopyRow,
                 CollectiveRow, PointToPointRow, RdmaRow, TcpRow, PowerRow, StepRow, ServingRow, RequestsRow,
                 MlaPrefillRow, MlaDecodeRow, OverlapRow, OtherRow>;

/// One line of a measurement file, complete in itself.
struct Measurement {
  std::string gpu;  ///< catalogue name; may be empty for rdma and tcp
  std::string source;
  std::string note;
  MeasurementRow row;
};

/// Reads one line. Strict: unknown kind or key, wrong type, non-positive time throw InputError.
Measurement read_measurement(const JsonValue&);
/// Reads JSON Lines (gzip allowed) row by row; errors name file and line. Empty lines are skipped.
void for_each_measurement(const std::string& path,
                          const std::function<void(const Measurement&, std::size_t line)>&);
/// One JSON line, without the line end; read_measurement gives back the same.
std::string write_measurement(const Measurement&);

}  // namespace sextant
