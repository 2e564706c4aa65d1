#pragma once
#include <cstdint>
#include <string>

#include "models/base/json_reader.hpp"
#include "models/hardware/cluster.hpp"
#include "sim/serving/speculation.hpp"

namespace sextant {

/// Who is admitted first and preempted last: by arrival, or by (priority, arrival).
enum class SchedulingPolicy { fcfs, priority };

/// The engine's knobs, by vLLM's names.
struct EngineOptions {
  std::string profile = "vllm-0.19";  ///< engine profile: host time and memory terms
  double gpu_memory_utilization = 0.9;
  std::int64_t block_size = 16;                ///< tokens per KV block
  std::int64_t reserved_kv_blocks = 0;         ///< of them the engine's own; from the profile
  std::int64_t max_num_seqs = 256;             ///< requests running at once, per replica
  std::int64_t max_num_batched_tokens = 8192;  ///< token budget of a step
  /// Why the batch limits that the scenario leaves out are what they are: "defaults of GPUs with 70 GiB or
  /// more"; empty where it gives both.
  std::string batch_defaults;
  std::int64_t max_model_len = 0;  ///< longest prompt plus output; 0: the model's own limit
  bool enable_chunked_prefill = true;
  std::int64_t long_prefill_token_threshold = 0;  ///< most tokens of one prompt in a step; 0: no such limit
  bool enable_prefix_caching = true;              ///< full blocks stay known after they are freed
  /// Layers that slide keep every token. vLLM does so unasked where KV leaves the GPU: prefill and decode
  /// apart, or KV offloading.
  bool disable_hybrid_kv_cache_manager = false;
  SchedulingPolicy scheduling_policy = SchedulingPolicy::fcfs;
  /// A waiting or preempted request enters only if all of its tokens fit in free KV blocks (vLLM from 0.19
  /// on); else its first chunk is enough (0.15.1).
  bool scheduler_reserve_full_isl = false;
  /// By "capacity_scheduler_policy" (TensorRT-LLM's word): a request enters only if its whole output fits
  /// beside all that the running ones may grow to, and none is preempted; else one is, where blocks run out.
  bool guaranteed_no_evict = false;
  bool max_num_seqs_per_batch = false;  ///< max_num_seqs limits each batch of a pipeline; from the profile
  /// Without a pipeline (pp 1) step N + 1 is scheduled when step N is launched: what arrives or comes free
  /// during step N counts from step N + 2 on (vLLM's max_concurrent_batches of 2).
  bool async_scheduling = false;
  /// "kv_offloading_size": host memory for KV blocks, GiB over all GPUs of a replica; 0: none.
  double kv_offloading_gib = 0;
  std::optional<Speculation> speculation;  ///< "speculative_config"

  /// Requests that may run at once on a replica of so many stages.
  std::int64_t running_limit(std::int64_t stages) const {
    return max_num_seqs_per_batch ? max_num_seqs * stages : max_num_seqs;
  }
  /// Tokens that a decode computes in a step, and those it yields on average.
  std::int64_t tokens_per_decode() const { return speculation ? speculation->tokens_per_decode() : 1; }
  double expected_tokens() const { return speculation ? speculation->expected_tokens() : 1; }
};

/// Reads a scenario's "engine"; what is absent comes from the engine profile, as it holds for the cluster's
/// GPUs. Throws InputError, also where max_num_batched_tokens < max_num_seqs (vLLM refuses it).
EngineOptions read_engine_options(const JsonValue*, const Cluster&);

}  // namespace sextant
