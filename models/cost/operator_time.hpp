#pragma once
#include <span>

#include "models/cost/cost.hpp"

// The same times as in cost.hpp with the operator's model already looked up: what a pass costs is asked
// millions of times, what the profile is called only once.
namespace sextant {

const OperatorModel& gemm_model(const GpuProfile&, const std::string& type);
const OperatorModel& moe_model(const GpuProfile&, const std::string& type);
const OperatorModel& attention_prefill_model(const GpuProfile&, const AttentionShape&);
const OperatorModel& attention_decode_model(const GpuProfile&, const AttentionShape&);
const TransferCurve& collective_curve(const LinkProfile&, const std::string& op, int ranks);

/// Roofline time of some work, without latency and efficiency.
struct Work {
  double seconds = 0;
  bool memory_bound = false;
};
Work roofline_work(const Roofline&, double flops, double bytes);
/// latency + work / efficiency.
OperatorTime operator_time(const OperatorModel&, const Work&, std::span<const double> coordinates);

OperatorTime attention_prefill_time(const OperatorModel&, const AttentionShape&, double kv_element_bytes,
                                    std::span<const PrefillChunk>);
OperatorTime attention_decode_time(const OperatorModel&, const AttentionShape&, double kv_element_bytes,
                                   double batch, double context_sum);

}  // namespace sextant
