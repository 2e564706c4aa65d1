#include "sim/serving/engine_options.hpp"

#include <fmt/core.h>

#include "models/profile/engine_profile.hpp"

namespace sextant {

EngineOptions read_engine_options(const JsonValue* value) {
  EngineOptions options;
  const std::optional<JsonObject> object =
      value == nullptr ? std::nullopt : std::optional<JsonObject>(value->object());
  if (object) options.profile = object->text_or("profile", options.profile);
  const EngineProfile profile = find_engine_profile(options.profile);
  options.gpu_memory_utilization = profile.gpu_memory_utilization;
  options.block_size = profile.block_size;
  options.max_num_seqs = profile.max_sequences;
  options.max_num_batched_tokens = profile.max_batched_tokens;
  options.scheduler_reserve_full_isl = profile.scheduler_reserve_full_isl;
  if (!object) return options;

  constexpr Range count{1, 1e9};
  options.gpu_memory_utilization =
      object->number_or("gpu_memory_utilization", options.gpu_memory_utilization, {0.01, 1});
  options.block_size = object->integer_or("block_size", options.block_size, {1, 1 << 16});
  options.max_num_seqs = object->integer_or("max_num_seqs", options.max_num_seqs, count);
  options.max_num_batched_tokens =
      object->integer_or("max_num_batched_tokens", options.max_num_batched_tokens, count);
  options.max_model_len = object->integer_or("max_model_len", options.max_model_len, count);
  options.enable_chunked_prefill =
      object->boolean_or("enable_chunked_prefill", options.enable_chunked_prefill);
  options.scheduler_reserve_full_isl =
      object->boolean_or("scheduler_reserve_full_isl", options.scheduler_reserve_full_isl);
  object->finish();
  if (options.max_num_batched_tokens < options.max_num_seqs)
    object->fail(fmt::format("found max_num_batched_tokens {}, expected at least max_num_seqs, which is {}",
                             options.max_num_batched_tokens, options.max_num_seqs));
  return options;
}

}  // namespace sextant
