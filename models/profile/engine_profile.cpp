#include "models/profile/engine_profile.hpp"

#include "models/profile/profile_file.hpp"

namespace sextant {
namespace {

constexpr auto format_name = "sextant engine profile";
constexpr std::int64_t format_version = 1;
constexpr Range not_negative{0, 1e15};
constexpr Range count{1, 1e9};

EngineMemory read_memory(const JsonValue& value) {
  const JsonObject object = value.object();
  EngineMemory memory;
  memory.context_bytes = read_figure(object.at("context_bytes"), not_negative);
  memory.bytes_per_communicator = read_figure(object.at("bytes_per_communicator"), not_negative);
  memory.workspace_bytes = read_figure(object.at("workspace_bytes"), not_negative);
  memory.kv_share = object.number_or("kv_share", 1, {0.01, 1});
  object.finish();
  return memory;
}

BatchLimitDefaults read_batch_limits(const JsonObject& object) {
  return {object.integer("max_num_batched_tokens", count), object.integer("max_num_seqs", count)};
}

void read_batch_defaults(const JsonValue& value, EngineProfile& profile) {
  const JsonObject object = value.object();
  profile.batch_defaults = read_batch_limits(object);
  if (const auto large = object.find("large_gpus")) {
    const JsonObject rule = large->object();
    LargeGpuDefaults defaults;
    defaults.memory_gib_at_least = rule.number("memory_gib_at_least", not_negative);
    for (const JsonValue& part : rule.at("name_lacks").array()) defaults.name_lacks.push_back(part.text());
    defaults.batch = read_batch_limits(rule);
    rule.finish();
    profile.large_gpu_defaults = std::move(defaults);
  }
  object.text("source");
  object.finish();
}

std::vector<int> read_majors(const JsonValue& value) {
  std::vector<int> majors;
  for (const JsonValue& major : value.array()) majors.push_back(static_cast<int>(major.integer({1, 99})));
  return majors;
}

std::vector<int> read_fp8_kv(const JsonValue& value) {
  const JsonObject object = value.object();
  std::vector<int> majors = read_majors(object.at("compute_capability_majors"));
  object.text("source");
  object.finish();
  return majors;
}

std::vector<SharedAttentionKernel> read_shared_kernels(const JsonValue& value) {
  std::vector<SharedAttentionKernel> kernels;
  for (const JsonValue& item : value.array()) {
    const JsonObject object = item.object();
    SharedAttentionKernel kernel;
    kernel.compute_capability_majors = read_majors(object.at("compute_capability_majors"));
    kernel.query_tile_rows = object.integer("query_tile_rows", {1, 1024});
    kernel.packs_query_heads = object.at("packs_query_heads").boolean();
    object.text("source");
    object.finish();
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

}  // namespace

EngineProfile read_engine_profile(const JsonValue& value) {
  const JsonObject object = value.object();
  expect_format(object, format_name, format_version);
  EngineProfile profile;
  profile.name = object.text("name");
  profile.provenance = object.text("provenance");
  profile.step_us = read_figure(object.at("step_us"), not_negative);
  profile.step_us_per_request = read_figure(object.at("step_us_per_request"), not_negative);
  if (const auto figure = object.find("pipeline_us_per_request"))
    profile.pipeline_us_per_request = read_figure(*figure, not_negative);
  if (const auto slow = object.find("step_us_hi90")) {
    if (profile.step_us.value > 0)
      slow->fail("found it beside a step_us above 0, expected host_spread alone");
    profile.step_us_hi90 = slow->number(not_negative);
  }
  profile.host_spread = read_spread(object.at("host_spread"));
  profile.front_end_us = read_figure(object.at("front_end_us"), not_negative);
  profile.front_end_us_per_prompt_token =
      read_figure(object.at("front_end_us_per_prompt_token"), not_negative);
  profile.front_end_spread = read_spread(object.at("front_end_spread"));
  if (const auto figure = object.find("late_first_token_ms"))
    profile.late_first_token_ms = read_figure(*figure, not_negative);
  profile.shared_attention_kernels = read_shared_kernels(object.at("shared_attention_kernels"));
  if (const auto rule = object.find("fp8_kv_as_16_bit")) profile.fp8_kv_as_16_bit_majors = read_fp8_kv(*rule);
  profile.pads_gemms_where_faster = object.boolean_or("pads_gemms_where_faster", false);
  for (const JsonValue& size : object.at("cudagraph_capture_sizes").array()) {
    std::vector<std::int64_t>& sizes = profile.cudagraph_capture_sizes;
    const std::int64_t tokens = size.integer(count);
    if (!sizes.empty() && tokens <= sizes.back())
      size.fail("found " + std::to_string(tokens) + ", expected more than the " +
                std::to_string(sizes.back()) + " before it");
    sizes.push_back(tokens);
  }
  if (const auto sampler = object.find("sampler")) profile.sampler = read_sampler(*sampler);
  profile.memory = read_memory(object.at("memory"));
  profile.gpu_memory_utilization = object.number("gpu_memory_utilization", {0.01, 1});
  profile.block_size = object.integer("block_size", count);
  profile.reserved_kv_blocks = object.integer("reserved_kv_blocks", {0, 1e6});
  read_batch_defaults(object.at("batch_defaults"), profile);
  profile.scheduler_reserve_full_isl = object.at("scheduler_reserve_full_isl").boolean();
  profile.guaranteed_no_evict = object.boolean_or("guaranteed_no_evict", false);
  profile.max_num_seqs_per_batch = object.boolean_or("max_num_seqs_per_batch", false);
  profile.async_scheduling = object.at("async_scheduling").boolean();
  profile.custom_all_reduce = object.at("custom_all_reduce").boolean();
  if (const auto kernels = object.find("kernels")) profile.kernels = kernels->text();
  object.finish();
  return profile;
}

EngineProfile find_engine_profile(const std::string& name) {
  return read_engine_profile(profile_document("engine", name));
}

}  // namespace sextant
