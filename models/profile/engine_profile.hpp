#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/base/figure.hpp"
#include "models/base/json_reader.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/sampler_profile.hpp"

namespace sextant {

/// What an engine keeps in GPU memory beside weights, activations and KV.
struct EngineMemory {
  Figure context_bytes;           ///< CUDA context and loaded kernels
  Figure bytes_per_communicator;  ///< NCCL buffers of one group or neighbour
  Figure workspace_bytes;         ///< CUDA graphs, attention and GEMM workspaces
  double kv_share = 1;            ///< KV takes this share of what all else leaves
};

/// What an engine takes for its two batch limits where it is not told.
struct BatchLimitDefaults {
  std::int64_t max_num_batched_tokens = 8192;
  std::int64_t max_num_seqs = 256;
};

/// Other defaults where every GPU is large: of so much memory and of a name that contains none of these.
struct LargeGpuDefaults {
  double memory_gib_at_least = 0;
  std::vector<std::string> name_lacks;  ///< in lower case
  BatchLimitDefaults batch;
};

/// On GPUs of these compute capabilities (the part before the point) a step's prompts and decodes share one
/// attention kernel, in which a decode's query fills a whole tile.
struct SharedAttentionKernel {
  std::vector<int> compute_capability_majors;
  std::int64_t query_tile_rows = 64;
  bool packs_query_heads = false;  ///< heads of one key-value head share a tile
};

/// An engine's own time, apart from its kernels: host work that no kernel hides.
struct EngineProfile {
  std::string name;  ///< "bare", "vllm-0.19"
  std::string provenance;
  Figure step_us;              ///< per scheduler step, exposed
  Figure step_us_per_request;  ///< per request in the step, exposed
  /// In a pipeline each stage's own process takes so long per request before its pass, hidden by nothing.
  Figure pipeline_us_per_request;
  double step_us_hi90 = 0;  ///< the slow end of a step_us of 0, which no factor widens
  Spread host_spread;       ///< of all three, 90 % interval of true / stated
  Figure front_end_us;      ///< a request's way to and from the scheduler: HTTP, tokeniser, streaming, client
  Figure front_end_us_per_prompt_token;
  Spread front_end_spread;
  /// What one first token in a hundred may come later than predicted, ms: kernels that run for the first
  /// time, a process that pauses. In p99's interval, not in its value.
  Figure late_first_token_ms;
  std::vector<SharedAttentionKernel> shared_attention_kernels;
  /// On GPUs of these compute capabilities (the part before the point) its decode attention reads an fp8
  /// cache at the rate at which the profile's kernels read a 16-bit one.
  std::vector<int> fp8_kv_as_16_bit_majors;
  /// Times its GEMMs before it serves and pads rows where more of them are faster.
  bool pads_gemms_where_faster = false;
  /// Token counts of its CUDA graphs, rising: a step of fewer tokens computes the next such number. Empty: no
  /// graphs, or none that pad.
  std::vector<std::int64_t> cudagraph_capture_sizes;
  std::optional<SamplerModel> sampler;  ///< nullopt: always the likeliest word
  EngineMemory memory;
  double gpu_memory_utilization = 0.9;
  std::int64_t block_size = 16;         ///< tokens per KV block
  std::int64_t reserved_kv_blocks = 0;  ///< that the engine keeps for itself: vLLM's null block
  BatchLimitDefaults batch_defaults;
  std::optional<LargeGpuDefaults> large_gpu_defaults;  ///< nullopt: the same for every GPU
  /// A waiting request enters only if all of its tokens fit in free KV blocks, not its first chunk alone.
  bool scheduler_reserve_full_isl = false;
  /// A request enters only if the blocks of its whole output are left by what the running ones may still grow
  /// to (TensorRT-LLM's GUARANTEED_NO_EVICT): none is ever preempted.
  bool guaranteed_no_evict = false;
  /// max_num_seqs limits one batch of a pipeline, not all that run (TensorRT-LLM's max_batch_size).
  bool max_num_seqs_per_batch = false;
  /// Without a pipeline a step is scheduled while the one before it runs.
  bool async_scheduling = false;
  /// Reduces with its own kernel over peer access where that is faster than NCCL (a link's custom curves).
  bool custom_all_reduce = false;
  /// Whose kernels it runs where a GPU profile has more than one set (GpuProfile::kernels): empty, those that
  /// serving engines use; a name, that set where the profile has it.
  std::string kernels;
};

EngineProfile read_engine_profile(const JsonValue&);
EngineProfile find_engine_profile(const std::string& name);

}  // namespace sextant
