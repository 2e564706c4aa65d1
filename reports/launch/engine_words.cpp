#include "reports/launch/engine_words.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <optional>

#include "models/llm/catalogue.hpp"
#include "reports/launch/shares.hpp"
#include "sim/serving/speculation_names.hpp"

namespace sextant {
namespace {

std::string text(std::int64_t value) {
  return fmt::format("{}", value);
}

/// vLLM's own value of --speculative-config: what the simulator takes besides, it finds out.
std::string speculative_config(const Speculation& speculation) {
  std::string model;
  if (!speculation.model.empty())
    model = fmt::format(R"(, "model": "{}")", find_model(speculation.model).hugging_face_id);
  return fmt::format(R"({{"method": "{}", "num_speculative_tokens": {}{}}})", to_string(speculation.method),
                     speculation.num_speculative_tokens, model);
}

bool over_nodes(const Cluster& cluster, const Layout& layout) {
  const std::vector<ReplicaShares> replicas = replica_shares(cluster, layout);
  return std::any_of(replicas.begin(), replicas.end(),
                     [](const ReplicaShares& replica) { return replica.nodes.size() > 1; });
}

/// Whether 16 bit has to be said, as the checkpoint would have the cache in another format.
bool turns_kv_format_off(const ServedModel& model) {
  const auto& published = model.architecture.quantisation;
  return model.kv.name == "bf16" && published && !published->kv.empty();
}

/// The option's value in either engine's words; nullopt where its own default is right.
std::optional<std::string> kv_cache_dtype(const ServedModel& model, const std::string& fp8) {
  if (turns_kv_format_off(model)) return "bfloat16";
  if (model.kv.name == "bf16") return std::nullopt;
  return model.kv.name == "fp8" ? fp8 : model.kv.name;
}

/// vllm serve --help (v0.19).
std::vector<std::string> vllm_words(const EngineOptions& engine, const Scenario& scenario,
                                    const Layout& layout) {
  std::vector<std::string> words = {"--tensor-parallel-size",
                                    text(layout.tp),
                                    "--pipeline-parallel-size",
                                    text(layout.pp),
                                    "--max-num-seqs",
                                    text(engine.max_num_seqs),
                                    "--max-num-batched-tokens",
                                    text(engine.max_num_batched_tokens),
                                    "--max-model-len",
                                    text(engine.max_model_len),
                                    "--gpu-memory-utilization",
                                    fmt::format("{}", engine.gpu_memory_utilization),
                                    "--block-size",
                                    text(engine.block_size)};
  if (layout.shares_experts())
    words.insert(words.end(), {"--data-parallel-size", text(layout.sharing_ranks())});
  if (layout.ep > 1) words.emplace_back("--enable-expert-parallel");
  if (const auto dtype = kv_cache_dtype(scenario.model, "fp8"))
    words.insert(words.end(), {"--kv-cache-dtype", *dtype});
  words.emplace_back(engine.enable_chunked_prefill ? "--enable-chunked-prefill"
                                                   : "--no-enable-chunked-prefill");
  if (engine.long_prefill_token_threshold > 0)
    words.insert(words.end(), {"--long-prefill-token-threshold", text(engine.long_prefill_token_threshold)});
  if (!engine.enable_prefix_caching) words.emplace_back("--no-enable-prefix-caching");
  if (engine.disable_hybrid_kv_cache_manager) words.emplace_back("--disable-hybrid-kv-cache-manager");
  if (engine.scheduling_policy == SchedulingPolicy::priority)
    words.insert(words.end(), {"--scheduling-policy", "priority"});
  if (engine.kv_offloading_gib > 0)
    words.insert(words.end(), {"--kv-offloading-size", fmt::format("{}", engine.kv_offloading_gib),
                               "--kv-offloading-backend", "native"});
  if (engine.speculation)
    words.insert(words.end(), {"--speculative-config", speculative_config(*engine.speculation)});
  // As planned: a replica of several stages never schedules ahead (sim/serving/replica.cpp). Over nodes vLLM
  // chooses by itself, for it refuses to where Ray joins them.
  if (!engine.async_scheduling || layout.pp > 1)
    words.emplace_back("--no-async-scheduling");
  else if (!over_nodes(scenario.cluster, layout))
    words.emplace_back("--async-scheduling");
  return words;
}

/// What the plan's scheduler does and no option of the engine makes it do.
void note_scheduler(ServingEngine engine, const Scenario& scenario, std::vector<std::string>& notes) {
  const EngineOptions& options = scenario.engine;
  if (options.guaranteed_no_evict)
    notes.emplace_back(
        "the plan lets a request in only where its whole output fits and preempts none (TensorRT-LLM's "
        "guaranteed_no_evict): this engine preempts where KV blocks run out");
  if (options.max_num_seqs_per_batch)
    notes.push_back(
        fmt::format("the plan's limit of {} sequences is of each batch of a pipeline, the engine's of all",
                    options.max_num_seqs));
  if (!scenario.workload.priorities.empty())
    notes.emplace_back(
        "the plan's requests have priorities: clients send them as \"priority\" of each request");
  if (engine == ServingEngine::sglang && options.scheduling_policy == SchedulingPolicy::priority)
    notes.emplace_back("the plan schedules by priority as vLLM does: none of SGLang's options for it is set");
  if (engine == ServingEngine::sglang && options.long_prefill_token_threshold > 0)
    notes.emplace_back("the plan's long_prefill_token_threshold has no counterpart in SGLang");
}

/// python3 -m sglang.launch_server --help.
std::vector<std::string> sglang_words(const EngineOptions& engine, const Scenario& scenario,
                                      const Layout& layout) {
  std::vector<std::string> words = {
      "--tp-size",
      text(std::int64_t{layout.tp} * layout.sharing_ranks()),
      "--pp-size",
      text(layout.pp),
      "--max-running-requests",
      text(engine.max_num_seqs),
      "--chunked-prefill-size",
      engine.enable_chunked_prefill ? text(engine.max_num_batched_tokens) : "-1",
      "--context-length",
      text(engine.max_model_len)};
  if (layout.shares_experts())
    words.insert(words.end(), {"--dp-size", text(layout.sharing_ranks()), "--enable-dp-attention"});
  if (layout.ep > 1) words.insert(words.end(), {"--ep-size", text(layout.ep)});
  if (!engine.enable_prefix_caching) words.emplace_back("--disable-radix-cache");
  if (const auto dtype = kv_cache_dtype(scenario.model, "fp8_e4m3"))
    words.insert(words.end(), {"--kv-cache-dtype", *dtype});
  return words;
}

}  // namespace

std::vector<std::string> engine_words(ServingEngine engine, const Scenario& scenario, const Layout& layout) {
  return engine == ServingEngine::vllm ? vllm_words(scenario.engine, scenario, layout)
                                       : sglang_words(scenario.engine, scenario, layout);
}

std::vector<EngineVariable> engine_variables(ServingEngine engine, const Layout& layout) {
  const std::string partition = uneven_partition(layout);
  if (partition.empty()) return {};
  const bool vllm = engine == ServingEngine::vllm;
  return {{vllm ? "VLLM_PP_LAYER_PARTITION" : "SGLANG_PP_LAYER_PARTITION", partition,
           "layers of each stage as planned; the engine by itself would cut them evenly"}};
}

std::vector<std::string> engine_notes(ServingEngine engine, const Scenario& scenario, const Layout& layout) {
  std::vector<std::string> notes = {
      fmt::format("the checkpoint's weights are planned as {}, the KV cache as {}",
                  scenario.model.weights.name, scenario.model.kv.name)};
  note_scheduler(engine, scenario, notes);
  if (engine == ServingEngine::vllm && scenario.engine.async_scheduling && layout.pp == 1 &&
      over_nodes(scenario.cluster, layout))
    notes.emplace_back(
        "the plan schedules a step ahead: over nodes vLLM does so with its own processes, but not with "
        "Ray, where every step takes the host's time longer");
  const int servers = layout.dp / layout.sharing_ranks();
  if (servers > 1)
    notes.push_back(
        fmt::format("{} replicas, each a server of its own: a router that spreads requests stands before "
                    "them, as in the plan",
                    servers));
  if (layout.shares_experts())
    notes.push_back(fmt::format(
        "a server has {} data-parallel ranks that share experts over {} GPUs and spreads requests "
        "over them itself, by its own rule; the plan does by its router's",
        layout.sharing_ranks(), layout.ep));
  if (const auto& speculation = scenario.engine.speculation) {
    if (engine == ServingEngine::vllm && speculation->method == Speculation::Method::eagle)
      notes.emplace_back(
          "the plan has an eagle head of one layer: add its checkpoint to --speculative-config as \"model\"");
    notes.push_back(
        fmt::format("the plan takes {:.3g} tokens from each step of a request, speculation included",
                    speculation->expected_tokens()));
  }
  if (engine == ServingEngine::sglang &&
      (scenario.engine.speculation || scenario.engine.kv_offloading_gib > 0))
    notes.emplace_back("speculation and KV offload of the plan are vLLM's: none of SGLang's is set");
  if (engine == ServingEngine::sglang)
    notes.emplace_back(
        "the plan simulates vLLM's scheduler and memory; SGLang sizes its KV cache itself "
        "(--mem-fraction-static), so "
        "expect other numbers");
  return notes;
}

}  // namespace sextant
