#pragma once
#include <cstdint>
#include <span>

#include "models/cost/cost.hpp"
#include "sim/kernel/time.hpp"

namespace sextant {

/// How long one pass of a stage takes, and how much of that its tensor-parallel group spends exchanging data.
struct PassTime {
  Time total;
  Time communication;
};

/// Keys and values of some tokens between GPUs and host memory.
struct HostCopy {
  Time time;         ///< one way, each GPU over its own link
  double bytes = 0;  ///< on all GPUs of the replica
};

/// What the scheduler's pipeline needs to know of the machine underneath: one replica's stages and the hops
/// between.
class PipelineModel {
 public:
  virtual ~PipelineModel() = default;
  virtual int stages() const = 0;
  /// One pass of `shape` through `stage`.
  virtual PassTime pass(int stage, const PassShape& shape) const = 0;
  /// One pass of ranks that share experts, in lock step, each with its own batch; an idle one has none.
  virtual PassTime pass_together(std::span<const PassShape> ranks) const {
    PassTime slowest;
    for (const PassShape& rank : ranks)
      if (const PassTime own = pass(0, rank); own.total > slowest.total) slowest = own;
    return slowest;
  }
  /// `tokens` tokens' hidden state and residual from `stage` to the next one; after the last stage, the
  /// sampled tokens' way back to the first.
  virtual Time hop(int stage, std::int64_t tokens) const = 0;
  /// How many times as long a pass takes while that hop's message leaves or reaches its GPU.
  virtual double beside_hop(int /*stage*/, bool /*prompts*/) const { return 1; }
  /// Bytes of such a message, for links that others use as well.
  virtual double hop_bytes(int /*stage*/, std::int64_t /*tokens*/) const { return 0; }
  /// Host time of the engine before a step of so many requests that no kernel hides.
  virtual Time host(std::int64_t requests) const = 0;
  /// What a request spends outside the scheduler before its first token: client, HTTP, tokeniser.
  virtual Time front_end(std::int64_t /*prompt_tokens*/) const { return {}; }
  virtual HostCopy host_copy(std::int64_t /*tokens*/) const { return {}; }
};

}  // namespace sextant
