#include "sim/serving/engine_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cctype>

#include "models/profile/engine_profile.hpp"

namespace sextant {
namespace {

constexpr double GiB = 1024.0 * 1024 * 1024;

/// The batch limits an engine takes where it is not told, and why.
struct BatchDefaults {
  BatchLimitDefaults limits;
  std::string why;
};

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

/// Why a GPU does not count as large, in words; empty if it does.
std::string not_large(const Gpu& gpu, const LargeGpuDefaults& rule) {
  const double gib = gpu.memory_bytes.value / GiB;
  if (gib < rule.memory_gib_at_least)
    return fmt::format("{} has {:.1f} GiB, under {:g}", gpu.name, gib, rule.memory_gib_at_least);
  const std::string names = lower_case(gpu.name + " " + gpu.full_name);
  for (const std::string& part : rule.name_lacks)
    if (names.find(part) != std::string::npos) return fmt::format("{} is named {}", gpu.name, part);
  return "";
}

/// The defaults of large GPUs only where all are: an engine looks at one of its own, and which one that is
/// depends on where it is started.
BatchDefaults batch_defaults(const EngineProfile& profile, const Cluster& cluster) {
  const std::string own = "defaults of " + profile.name;
  if (!profile.large_gpu_defaults) return {profile.batch_defaults, own};
  for (const int device : cluster.gpus())
    if (const std::string why = not_large(cluster.gpu(device), *profile.large_gpu_defaults); !why.empty())
      return {profile.batch_defaults, fmt::format("{}: {}", own, why)};
  return {profile.large_gpu_defaults->batch, fmt::format("{} for GPUs of {:g} GiB or more", own,
                                                         profile.large_gpu_defaults->memory_gib_at_least)};
}

SchedulingPolicy read_policy(const JsonObject& object) {
  const std::string policy = object.text_or("scheduling_policy", "fcfs");
  if (policy == "fcfs") return SchedulingPolicy::fcfs;
  if (policy == "priority") return SchedulingPolicy::priority;
  object.at("scheduling_policy").fail(fmt::format("found \"{}\", expected \"fcfs\" or \"priority\"", policy));
}

bool read_capacity_policy(const JsonObject& object, bool by_default) {
  const std::string no_evict = "guaranteed_no_evict", utilization = "max_utilization";
  const std::string policy = object.text_or("capacity_scheduler_policy", by_default ? no_evict : utilization);
  if (policy == no_evict || policy == utilization) return policy == no_evict;
  object.at("capacity_scheduler_policy")
      .fail(fmt::format("found \"{}\", expected \"{}\" or \"{}\"", policy, no_evict, utilization));
}

}  // namespace

EngineOptions read_engine_options(const JsonValue* value, const Cluster& cluster) {
  EngineOptions options;
  const std::optional<JsonObject> object =
      value == nullptr ? std::nullopt : std::optional<JsonObject>(value->object());
  if (object) options.profile = object->text_or("profile", options.profile);
  const EngineProfile profile = find_engine_profile(options.profile);
  options.gpu_memory_utilization = profile.gpu_memory_utilization;
  options.block_size = profile.block_size;
  options.reserved_kv_blocks = profile.reserved_kv_blocks;
  BatchDefaults defaults = batch_defaults(profile, cluster);
  options.max_num_seqs = defaults.limits.max_num_seqs;
  options.max_num_batched_tokens = defaults.limits.max_num_batched_tokens;
  options.batch_defaults = std::move(defaults.why);
  options.scheduler_reserve_full_isl = profile.scheduler_reserve_full_isl;
  options.async_scheduling = profile.async_scheduling;
  options.guaranteed_no_evict = profile.guaranteed_no_evict;
  options.max_num_seqs_per_batch = profile.max_num_seqs_per_batch;
  if (!object) return options;

  constexpr Range count{1, 1e9};
  options.gpu_memory_utilization =
      object->number_or("gpu_memory_utilization", options.gpu_memory_utilization, {0.01, 1});
  options.block_size = object->integer_or("block_size", options.block_size, {1, 1 << 16});
  options.max_num_batched_tokens =
      object->integer_or("max_num_batched_tokens", options.max_num_batched_tokens, count);
  // vLLM's own rule for what it is not told: no more requests than tokens in a step.
  options.max_num_seqs = object->integer_or(
      "max_num_seqs", std::min(options.max_num_seqs, options.max_num_batched_tokens), count);
  if (object->has("max_num_seqs") && object->has("max_num_batched_tokens")) options.batch_defaults.clear();
  options.max_model_len = object->integer_or("max_model_len", options.max_model_len, count);
  options.enable_chunked_prefill =
      object->boolean_or("enable_chunked_prefill", options.enable_chunked_prefill);
  options.long_prefill_token_threshold =
      object->integer_or("long_prefill_token_threshold", options.long_prefill_token_threshold, {0, 1e9});
  options.enable_prefix_caching = object->boolean_or("enable_prefix_caching", options.enable_prefix_caching);
  options.scheduling_policy = read_policy(*object);
  options.scheduler_reserve_full_isl =
      object->boolean_or("scheduler_reserve_full_isl", options.scheduler_reserve_full_isl);
  options.guaranteed_no_evict = read_capacity_policy(*object, options.guaranteed_no_evict);
  options.async_scheduling = object->boolean_or("async_scheduling", options.async_scheduling);
  options.kv_offloading_gib = object->number_or("kv_offloading_size", 0, {0, 1e6});
  options.disable_hybrid_kv_cache_manager =
      object->boolean_or("disable_hybrid_kv_cache_manager", options.kv_offloading_gib > 0);
  if (options.kv_offloading_gib > 0 && !options.disable_hybrid_kv_cache_manager)
    object->at("disable_hybrid_kv_cache_manager")
        .fail(
            "found false with kv_offloading_size, expected true: vLLM's connectors take one group of blocks");
  if (options.kv_offloading_gib > 0 && !options.enable_prefix_caching)
    object->at("kv_offloading_size")
        .fail(
            "found it without prefix caching, expected enable_prefix_caching: blocks are found by their "
            "hash");
  if (const auto config = object->find("speculative_config")) options.speculation = read_speculation(*config);
  object->finish();
  if (options.max_num_batched_tokens < options.max_num_seqs * options.tokens_per_decode() &&
      options.speculation)
    object->fail(
        fmt::format("found max_num_batched_tokens {}, expected at least {} for each of max_num_seqs {} (a "
                    "token and those "
                    "speculated after it)",
                    options.max_num_batched_tokens, options.tokens_per_decode(), options.max_num_seqs));
  if (options.max_num_batched_tokens < options.max_num_seqs)
    object->fail(fmt::format("found max_num_batched_tokens {}, expected at least max_num_seqs, which is {}",
                             options.max_num_batched_tokens, options.max_num_seqs));
  return options;
}

}  // namespace sextant
