#pragma once
#include <string>
#include <type_traits>
#include <vector>

#include "models/profile/measurement.hpp"

namespace sextant::detail {

// The keys of every kind, stated once and visited by both the reader and the writer. A visitor provides
//   text(key, string, choices)  word of a closed list; an empty list takes any text     optional_text: may be
//   missing count(key, integer, least)  optional_count: missing means the value the row has already
//   optional_degree: missing means 1
//   boolean(key, bool)          positive(key, number)       amount(key, number): 0 allowed optional_*: may be
//   missing flag(key, optional<bool>)   numbers(key, vector)
// Reading takes the row by reference; writing takes it const.

using Words = std::vector<std::string>;
inline Words gemm_types() {
  return {"bf16", "fp16", "fp8", "fp8_block", "int8", "nvfp4", "w4a16"};
}
inline Words moe_types() {
  return {"bf16",  "fp16",  "fp8",     "fp8_block",   "int8",
          "nvfp4", "w4a16", "int4_wo", "w4a16_mxfp4", "w4a8_mxfp4_mxfp8"};
}
inline Words attention_types() {
  return {"bf16", "fp16", "fp8", "int8", "nvfp4"};
}
inline Words link_classes() {
  return {"nvlink", "pcie", "roce", "ib", "tcp"};
}
inline Words collective_operations() {
  return {"all_reduce", "all_gather", "reduce_scatter", "all_to_all",
          "broadcast",  "reduce",     "gather",         "scatter"};
}

template <class Visitor, class Row>
void gemm_fields(Visitor& v, Row& row) {
  v.text("dtype", row.dtype, gemm_types());
  v.count("m", row.m, 1);
  v.count("n", row.n, 1);
  v.count("k", row.k, 1);
  v.positive("us", row.us);
}

template <class Visitor, class Row>
void moe_fields(Visitor& v, Row& row) {
  v.text("dtype", row.dtype, moe_types());
  v.count("tokens", row.tokens, 1);
  v.count("hidden", row.hidden, 1);
  v.count("intermediate", row.intermediate, 1);
  v.count("experts", row.experts, 1);
  v.count("topk", row.topk, 1);
  v.count("tp", row.tp, 1);
  v.count("ep", row.ep, 1);
  v.text("distribution", row.distribution, {});
  v.positive("us", row.us);
}

template <class Visitor, class Row>
void attention_head_fields(Visitor& v, Row& row) {
  v.count("heads", row.heads, 1);
  v.count("kv_heads", row.kv_heads, 1);
  v.count("head_dim", row.head_dim, 1);
  v.count("batch", row.batch, 1);
  v.text("dtype", row.dtype, attention_types());
  v.text("kv_dtype", row.kv_dtype, attention_types());
  v.optional_count("window", row.window, 0);
  v.positive("us", row.us);
}

template <class Visitor, class Row>
void attention_prefill_fields(Visitor& v, Row& row) {
  v.count("new_tokens", row.new_tokens, 1);
  v.count("past_tokens", row.past_tokens, 0);
  attention_head_fields(v, row);
}

template <class Visitor, class Row>
void attention_decode_fields(Visitor& v, Row& row) {
  v.count("context", row.context, 1);
  attention_head_fields(v, row);
}

template <class Visitor, class Row>
void mla_fields(Visitor& v, Row& row) {
  v.count("heads", row.heads, 1);
  v.count("batch", row.batch, 1);
  v.text("dtype", row.dtype, attention_types());
  v.text("kv_dtype", row.kv_dtype, attention_types());
  v.boolean("module", row.module);
  v.optional_text("projections", row.projections, gemm_types());
  v.count("tp", row.tp, 1);
  v.positive("us", row.us);
}

template <class Visitor, class Row>
void mla_prefill_fields(Visitor& v, Row& row) {
  v.count("new_tokens", row.new_tokens, 1);
  v.count("past_tokens", row.past_tokens, 0);
  mla_fields(v, row);
}

template <class Visitor, class Row>
void mla_decode_fields(Visitor& v, Row& row) {
  v.count("context", row.context, 1);
  mla_fields(v, row);
}

template <class Visitor, class Row>
void elementwise_fields(Visitor& v, Row& row) {
  v.text("op", row.op, {});
  v.count("tokens", row.tokens, 1);
  v.count("width", row.width, 1);
  v.positive("us", row.us);
}

template <class Visitor, class Row>
void copy_fields(Visitor& v, Row& row) {
  v.text("direction", row.direction, {"d2d", "h2d", "d2h"});
  v.amount("bytes", row.bytes);
  v.positive("us", row.us);
}

template <class Visitor, class Row>
void collective_fields(Visitor& v, Row& row) {
  v.text("op", row.op, collective_operations());
  v.count("ranks", row.ranks, 1);
  v.count("nodes", row.nodes, 1);
  v.text("link", row.link, link_classes());
  v.amount("bytes", row.bytes);
  v.positive("us", row.us);
  v.optional_text("dtype", row.dtype, {});
  v.optional_text("algo", row.algo, {});
  v.optional_text("proto", row.proto, {});
  v.optional_text("impl", row.impl, {"nccl", "custom"});
  v.flag("nvls", row.nvls);
  v.flag("gdr", row.gdr);
  v.optional_positive("rate_gbps", row.rate_gbps);
  v.optional_count("channels", row.channels, 1);
  v.flag("graph", row.graph);
  v.flag("in_place", row.in_place);
}

template <class Visitor, class Row>
void point_to_point_fields(Visitor& v, Row& row) {
  v.count("ranks", row.ranks, 2);
  v.count("nodes", row.nodes, 1);
  v.text("link", row.link, link_classes());
  v.amount("bytes", row.bytes);
  v.positive("us", row.us);
  v.flag("gdr", row.gdr);
  v.optional_positive("rate_gbps", row.rate_gbps);
  v.optional_text("pair", row.pair, {});
  v.optional_count("channels", row.channels, 1);
  v.flag("both_ways", row.both_ways);
  v.flag("graph", row.graph);
}

template <class Visitor, class Row>
void overlap_fields(Visitor& v, Row& row) {
  Words operations = collective_operations();
  operations.insert(operations.end(), {"send", "sendrecv"});
  v.text("op", row.op, operations);
  v.count("ranks", row.ranks, 2);
  v.count("nodes", row.nodes, 1);
  v.text("link", row.link, link_classes());
  v.amount("bytes", row.bytes);
  v.optional_count("channels", row.channels, 1);
  v.text("priority", row.priority, {"same", "high"});
  v.text("dtype", row.dtype, gemm_types());
  v.count("m", row.m, 1);
  v.count("n", row.n, 1);
  v.count("k", row.k, 1);
  v.positive("collective_us_alone", row.collective_us_alone);
  v.positive("collective_us_beside", row.collective_us_beside);
  v.positive("gemm_us_alone", row.gemm_us_alone);
  v.positive("gemm_us_beside", row.gemm_us_beside);
}

template <class Visitor, class Row>
void rdma_fields(Visitor& v, Row& row) {
  v.text("op", row.op, {"send", "write", "read"});
  v.text("test", row.test, {"bw", "lat"});
  v.amount("bytes", row.bytes);
  v.count("qps", row.qps, 1);
  v.optional_positive("gbps", row.gbps);
  v.optional_positive("us", row.us);
  v.text("device", row.device, {});
  v.count("mtu", row.mtu, 1);
  v.positive("rate_gbps", row.rate_gbps);
  v.flag("gdr", row.gdr);
  v.flag("both_ways", row.both_ways);
  v.optional_text("pair", row.pair, {});
}

template <class Visitor, class Row>
void tcp_fields(Visitor& v, Row& row) {
  v.count("streams", row.streams, 1);
  v.positive("gbps", row.gbps);
  v.optional_text("pair", row.pair, {});
}

template <class Visitor, class Row>
void power_fields(Visitor& v, Row& row) {
  v.positive("watts_limit", row.watts_limit);
  v.text("work", row.work, {});
  v.positive("relative_speed", row.relative_speed);
  v.optional_positive("relative_to_watts", row.relative_to_watts);
  v.optional_positive("clock_mhz", row.clock_mhz);
  v.optional_positive("watts", row.watts);
  v.optional_count("tokens", row.tokens, 1);
}

template <class Visitor, class Row>
void step_fields(Visitor& v, Row& row) {
  v.text("model", row.model, {});
  v.text("weights", row.weights, {});
  v.text("kv", row.kv, {});
  v.count("tp", row.tp, 1);
  v.count("pp", row.pp, 1);
  v.optional_degree("ep", row.ep);
  v.text("phase", row.phase, {"decode", "prefill"});
  v.count("batch", row.batch, 1);
  v.count("context", row.context, 0);
  v.count("microbatches", row.microbatches, 1);
  v.positive("ms", row.ms);
  v.numbers("stage_ms", row.stage_ms);
  v.optional_text("engine", row.engine, {});
  v.flag("graph", row.graph);
}

template <class Visitor, class Row>
void requests_fields(Visitor& v, Row& row) {
  v.text_or_object("scenario", row.scenario);
  v.text("path", row.path, {});
}

template <class Visitor, class Row>
void serving_fields(Visitor& v, Row& row) {
  v.text_or_object("scenario", row.scenario);
  v.figures("measured", row.measured);
}

/// Visits the keys of a row of any kind but OtherRow.
template <class Visitor, class Row>
void fields(Visitor& v, Row& row) {
  using Kind = std::remove_const_t<Row>;
  if constexpr (std::is_same_v<Kind, GemmRow>)
    gemm_fields(v, row);
  else if constexpr (std::is_same_v<Kind, MoeRow>)
    moe_fields(v, row);
  else if constexpr (std::is_same_v<Kind, AttentionPrefillRow>)
    attention_prefill_fields(v, row);
  else if constexpr (std::is_same_v<Kind, AttentionDecodeRow>)
    attention_decode_fields(v, row);
  else if constexpr (std::is_same_v<Kind, MlaPrefillRow>)
    mla_prefill_fields(v, row);
  else if constexpr (std::is_same_v<Kind, MlaDecodeRow>)
    mla_decode_fields(v, row);
  else if constexpr (std::is_same_v<Kind, ElementwiseRow>)
    elementwise_fields(v, row);
  else if constexpr (std::is_same_v<Kind, CopyRow>)
    copy_fields(v, row);
  else if constexpr (std::is_same_v<Kind, CollectiveRow>)
    collective_fields(v, row);
  else if constexpr (std::is_same_v<Kind, PointToPointRow>)
    point_to_point_fields(v, row);
  else if constexpr (std::is_same_v<Kind, OverlapRow>)
    overlap_fields(v, row);
  else if constexpr (std::is_same_v<Kind, RdmaRow>)
    rdma_fields(v, row);
  else if constexpr (std::is_same_v<Kind, TcpRow>)
    tcp_fields(v, row);
  else if constexpr (std::is_same_v<Kind, PowerRow>)
    power_fields(v, row);
  else if constexpr (std::is_same_v<Kind, StepRow>)
    step_fields(v, row);
  else if constexpr (std::is_same_v<Kind, ServingRow>)
    serving_fields(v, row);
  else if constexpr (std::is_same_v<Kind, RequestsRow>)
    requests_fields(v, row);
}

/// The word for a row's kind in the file; OtherRow has its own.
template <class Row>
constexpr const char* kind_name() {
  if constexpr (std::is_same_v<Row, GemmRow>) return "gemm";
  if constexpr (std::is_same_v<Row, MoeRow>) return "moe";
  if constexpr (std::is_same_v<Row, AttentionPrefillRow>) return "attention_prefill";
  if constexpr (std::is_same_v<Row, AttentionDecodeRow>) return "attention_decode";
  if constexpr (std::is_same_v<Row, MlaPrefillRow>) return "mla_prefill";
  if constexpr (std::is_same_v<Row, MlaDecodeRow>) return "mla_decode";
  if constexpr (std::is_same_v<Row, ElementwiseRow>) return "elementwise";
  if constexpr (std::is_same_v<Row, CopyRow>) return "copy";
  if constexpr (std::is_same_v<Row, CollectiveRow>) return "collective";
  if constexpr (std::is_same_v<Row, PointToPointRow>) return "p2p";
  if constexpr (std::is_same_v<Row, OverlapRow>) return "overlap";
  if constexpr (std::is_same_v<Row, RdmaRow>) return "rdma";
  if constexpr (std::is_same_v<Row, TcpRow>) return "tcp";
  if constexpr (std::is_same_v<Row, PowerRow>) return "power";
  if constexpr (std::is_same_v<Row, StepRow>) return "step";
  if constexpr (std::is_same_v<Row, ServingRow>) return "serving";
  if constexpr (std::is_same_v<Row, RequestsRow>) return "requests";
  return "";
}

}  // namespace sextant::detail
