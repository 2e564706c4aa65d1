#pragma once
#include "sim/serving/pipeline_model.hpp"

namespace sextant {

/// A machine whose times can be worked out by hand: each pass takes `base`, plus `per_prompt_token` for each
/// prompt token and `per_decode` for each decode's token; each hop takes `hop_time`.
class ToyPipeline final : public PipelineModel {
 public:
  int stage_count = 1;
  Time base{1'000'000}, per_prompt_token{0}, per_decode{0}, hop_time{0}, host_time{0}, front_end_time{0};

  Time host_per_token{0};
  double kv_bytes_per_token = 0;
  double beside = 1;

  int stages() const override { return stage_count; }
  PassTime pass(int, const PassShape& shape) const override {
    Time total = base + Time{per_decode.ns * shape.decodes * shape.tokens_per_decode};
    for (const PrefillChunk& chunk : shape.chunks) total += Time{per_prompt_token.ns * chunk.new_tokens};
    return {total, {}};
  }
  Time hop(int, std::int64_t) const override { return hop_time; }
  double beside_hop(int, bool) const override { return beside; }
  Time host(std::int64_t) const override { return host_time; }
  Time front_end(std::int64_t) const override { return front_end_time; }
  HostCopy host_copy(std::int64_t tokens) const override {
    return {Time{host_per_token.ns * tokens}, kv_bytes_per_token * static_cast<double>(tokens)};
  }
};

}  // namespace sextant
