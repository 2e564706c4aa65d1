#pragma once
#include <span>

#include "models/cost/cost.hpp"
#include "models/cost/operator_work.hpp"

// The same times as in cost.hpp with the operator's model already looked up: what a pass costs is asked
// millions of times, what the profile is called only once.
namespace sextant {

const OperatorModel& gemm_model(const GpuProfile&, const std::string& type);
const OperatorModel& moe_model(const GpuProfile&, const std::string& type, const std::string& routing);
const OperatorModel& attention_prefill_model(const GpuProfile&, const AttentionShape&);
const OperatorModel& attention_decode_model(const GpuProfile&, const AttentionShape&);
const TransferCurve& collective_curve(const LinkProfile&, const std::string& op, int ranks);

/// latency + work at the roofline's rates / efficiency.
OperatorTime operator_time(const OperatorModel&, const OperatorWork&);

OperatorTime attention_prefill_time(const OperatorModel&, const AttentionShape&, double kv_element_bytes,
                                    std::span<const PrefillChunk>);
/// The decodes of a pass in the kernel of its prompts: each fills a query tile, at the kernel's efficiency.
double attention_tiles_seconds(const OperatorModel& prefill, const AttentionShape&, double kv_element_bytes,
                               const PassShape&);
OperatorTime attention_decode_time(const OperatorModel&, const AttentionShape&, double kv_element_bytes,
                                   double batch, double context_sum, double tokens = 1);

}  // namespace sextant
