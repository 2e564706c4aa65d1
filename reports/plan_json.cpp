#include "reports/plan_json.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "reports/context_json.hpp"
#include "reports/json_parts.hpp"
#include "reports/names.hpp"
#include "reports/objective_json.hpp"
#include "sim/planner/repeated_options.hpp"
#include "sim/planner/search.hpp"
#include "sim/serving/speculation_names.hpp"

namespace sextant {
namespace {

using detail::finite;
using Json = nlohmann::ordered_json;

constexpr int schema_version = 1;

Json layers_json(const LayerRange& layers) {
  return {{"begin", layers.begin}, {"end", layers.end}};
}

Json shares_json(const StageShares& shares) {
  return {{"compute", finite(shares.compute)},
          {"communication", finite(shares.communication)},
          {"bubble", finite(shares.bubble)},
          {"hop_busy", finite(shares.hop_busy)}};
}

Json latency_json(const LatencySummary& latency) {
  return {{"mean", finite(latency.mean)},
          {"median", finite(latency.median)},
          {"p90", finite(latency.p90)},
          {"p99", finite(latency.p99)}};
}

Json disaggregation_json(const DisaggregationMetrics& pools) {
  Json stages = Json::array();
  for (const StageShares& shares : pools.prefill.stages) stages.push_back(shares_json(shares));
  return {{"prefill",
           {{"mean_running", finite(pools.prefill.mean_running)},
            {"mean_waiting", finite(pools.prefill.mean_waiting)},
            {"kv_occupancy_mean", finite(pools.prefill.kv_occupancy_mean)},
            {"kv_occupancy_peak", finite(pools.prefill.kv_occupancy_peak)},
            {"kv_blocks", pools.prefill.kv_blocks},
            {"stages", stages}}},
          {"kv",
           {{"transfers", pools.kv.transfers},
            {"bytes", finite(pools.kv.bytes)},
            {"transfer_ms", latency_json(pools.kv.transfer)},
            {"handover_ms", latency_json(pools.kv.handover)}}}};
}

Json metrics_object(const ServingMetrics& m) {
  Json json = {{"arrived", m.arrived},
               {"finished", m.finished},
               {"rejected", m.rejected},
               {"in_flight", m.in_flight},
               {"truncated", m.truncated},
               {"preemptions", m.preemptions},
               {"rerouted", m.rerouted},
               {"recomputed_tokens", m.recomputed_tokens},
               {"replica_down_s", finite(m.replica_down_s)},
               {"steps", m.steps},
               {"prompt_tokens", m.prompt_tokens},
               {"output_tokens", m.output_tokens},
               {"duration_s", finite(m.duration_s)}};
  for (const auto& [name, value] : named_metrics(m)) json[name] = finite(value);
  for (const AskedPercentile& asked : m.percentiles) json[asked.name()] = finite(asked.ms);
  json["mean_running"] = finite(m.mean_running);
  json["mean_waiting"] = finite(m.mean_waiting);
  json["mean_batch_decodes"] = finite(m.mean_batch_decodes);
  json["kv_occupancy_mean"] = finite(m.kv_occupancy_mean);
  json["kv_occupancy_peak"] = finite(m.kv_occupancy_peak);
  json["kv_blocks"] = m.kv_blocks;
  json["limits"] = {{"kv_blocks", finite(m.limits.kv_blocks)},
                    {"max_num_seqs", finite(m.limits.max_num_seqs)},
                    {"max_num_batched_tokens", finite(m.limits.max_num_batched_tokens)},
                    {"pipeline_full", finite(m.limits.pipeline_full)}};
  json["stages"] = Json::array();
  for (const StageShares& shares : m.stages) json["stages"].push_back(shares_json(shares));
  if (m.disaggregation) json["disaggregation"] = disaggregation_json(*m.disaggregation);
  if (const OffloadCounts& offload = m.offload; offload.bytes_to_host > 0)
    json["offload"] = {{"hit_tokens", offload.hit_tokens},
                       {"bytes_from_host", finite(offload.bytes_from_host)},
                       {"bytes_to_host", finite(offload.bytes_to_host)}};
  if (const SpeculationCounts& s = m.speculation; s.drafts > 0)
    json["speculation"] = {{"spec_decode_num_drafts", s.drafts},
                           {"spec_decode_draft_tokens", s.draft_tokens},
                           {"spec_decode_accepted_tokens", s.accepted_tokens},
                           {"spec_decode_acceptance_rate", finite(s.acceptance_rate())},
                           {"spec_decode_acceptance_length", finite(s.acceptance_length())}};
  json["overloaded"] = m.overloaded;
  json["overload"] = nullptr;
  if (m.overloaded)
    json["overload"] = {{"from_s", finite(m.overload.from_s)},
                        {"arrival_rate", finite(m.overload.arrival_rate)},
                        {"capacity", finite(m.overload.capacity)},
                        {"waiting", m.overload.waiting}};
  json["events"] = m.events;
  json["fingerprint"] = m.fingerprint;
  return json;
}

Json budget_json(const MemoryBudget& b, std::int64_t kv_tokens) {
  return {{"device", finite(b.device)},
          {"usable", finite(b.usable)},
          {"weights", finite(b.weights)},
          {"activations", finite(b.activations)},
          {"context", finite(b.context)},
          {"communication", finite(b.communication)},
          {"engine", finite(b.engine)},
          {"kv_bytes_per_token", finite(b.kv_bytes_per_token)},
          {"states", finite(b.sequence.state * static_cast<double>(b.sequences))},
          {"for_kv", finite(b.for_kv())},
          {"kv_tokens", kv_tokens}};
}

Json stage_json(const Cluster* cluster, const StageReport& stage) {
  Json families = Json::object();
  for (std::size_t f = 0; f < family_count; ++f)
    families[to_string(static_cast<Family>(f))] = finite(1e3 * stage.decode_families.seconds[f]);
  const bool known = cluster != nullptr && stage.memory.device >= 0;
  const Json tightest = known ? Json(device_name(*cluster, stage.memory.device)) : Json(nullptr);
  const StageWeights& w = stage.memory.weights;
  return {{"layers", layers_json(stage.layers)},
          {"gpus", stage.gpus},
          {"gpu", stage.gpu},
          {"memory",
           {{"device", tightest},
            {"weights_bytes",
             {{"embedding", finite(w.embedding)},
              {"head", finite(w.head)},
              {"layers", finite(w.layers)},
              {"norms", finite(w.norms)}}},
            {"budget_bytes", budget_json(stage.memory.budget, stage.kv_tokens)}}},
          {"kv_tokens", stage.kv_tokens},
          {"decode_pass_ms", finite(stage.decode_pass_ms)},
          {"decode_families_ms", families},
          {"chunk_pass_ms", finite(stage.chunk_pass_ms)},
          {"hop", stage.hop},
          {"decode_hop_ms", finite(stage.decode_hop_ms)},
          {"chunk_hop_ms", finite(stage.chunk_hop_ms)},
          {"decode_hop_bytes", finite(stage.decode_hop_bytes)},
          {"chunk_hop_bytes", finite(stage.chunk_hop_bytes)},
          {"shares", shares_json(stage.shares)}};
}

Json energy_json(const std::optional<Energy>& energy) {
  if (!energy) return nullptr;
  return {{"gpu_watts", finite(energy->gpu_watts)},
          {"joules_per_output_token", finite(energy->joules_per_output_token)},
          {"upper_bound", energy->upper_bound},
          {"grade", to_string(energy->grade)},
          {"basis", energy->basis}};
}

Json candidate_json(const Cluster* cluster, const Candidate& c) {
  Json stages = Json::array();
  for (const StageReport& stage : c.stages) stages.push_back(stage_json(cluster, stage));
  Json intervals = Json::object();
  for (const auto& [metric, interval] : c.intervals)
    intervals[metric] = {{"low", finite(interval.low)},
                         {"nominal", finite(interval.nominal)},
                         {"high", finite(interval.high)}};
  Json json = {{"layout", layout_json(cluster, c)},
               {"stages", stages},
               {"kv_tokens", c.kv_tokens},
               {"decode_batch", c.decode_batch},
               {"decode_context", c.decode_context},
               {"chunk_tokens", c.chunk_tokens},
               {"estimate", finite(c.estimate)},
               {"simulated", c.simulated},
               {"metrics", metrics_object(c.metrics)},
               {"startable", c.startable},
               {"meets_slo", c.meets_slo},
               {"missed", c.missed},
               {"intervals", intervals},
               {"grade", to_string(c.grade)},
               {"extrapolated", c.extrapolated}};
  json["usd_per_million_output_tokens"] =
      c.usd_per_million_output_tokens ? finite(*c.usd_per_million_output_tokens) : Json(nullptr);
  json["energy"] = energy_json(c.energy);
  if (c.prefill) {
    Json prefill_stages = Json::array();
    for (const StageReport& stage : c.prefill->stages) prefill_stages.push_back(stage_json(cluster, stage));
    json["prefill"] = {{"layout", layout_json(cluster, *c.prefill)},
                       {"stages", prefill_stages},
                       {"kv_tokens", c.prefill->kv_tokens}};
  }
  json["choice"] = c.choice_name;
  json["load"] = detail::load_json(c.load);
  json["on_front"] = c.on_front;
  return json;
}

Json search_json(const SearchProof& proof) {
  Json examples = Json::array();
  for (const PrunedBranch& branch : proof.examples)
    examples.push_back({{"branch", branch.branch},
                        {"bound", branch.bound},
                        {"value", finite(branch.value)},
                        {"had_to_beat", finite(branch.had_to_beat)},
                        {"token_seconds", finite(branch.token_seconds)}});
  return {{"complete", proof.complete},
          {"interrupted", proof.interrupted},
          {"bound_output_throughput", finite(proof.bound)},
          {"estimates", proof.estimates},
          {"steps", proof.steps},
          {"pruned", proof.pruned},
          {"nearest_pruned", examples}};
}

Json plan_object(const Cluster* cluster, const Plan& plan) {
  Json candidates = Json::array();
  for (const Candidate& candidate : plan.candidates) candidates.push_back(candidate_json(cluster, candidate));
  if (cluster != nullptr) {
    const auto repeats = repeated_options(*cluster, plan.candidates);
    for (std::size_t i = 0; i < repeats.size(); ++i)
      if (repeats[i]) candidates[i]["same_as"] = *repeats[i];
  }
  Json rejections = Json::array();
  for (const Rejection& r : plan.rejections)
    rejections.push_back(
        {{"layout", r.layout}, {"reason", r.reason}, {"shortfall_bytes", finite(r.shortfall_bytes)}});
  return {{"scenario", plan.scenario},
          {"candidates", candidates},
          {"considered", plan.considered},
          {"rejections", rejections},
          {"reasons", plan.reasons},
          {"interrupted", plan.interrupted},
          {"search", search_json(plan.proof)},
          {"objective", to_string(plan.objective)},
          {"choices", detail::choices_json(plan.choices)},
          {"front", detail::front_json(plan.front)},
          {"runner_up", detail::comparison_json(plan.runner_up)}};
}

Json engine_json(const EngineOptions& engine) {
  Json json = {{"profile", engine.profile},
               {"gpu_memory_utilization", engine.gpu_memory_utilization},
               {"block_size", engine.block_size},
               {"max_num_seqs", engine.max_num_seqs},
               {"max_num_batched_tokens", engine.max_num_batched_tokens},
               {"batch_defaults", engine.batch_defaults},
               {"max_model_len", engine.max_model_len},
               {"enable_chunked_prefill", engine.enable_chunked_prefill},
               {"scheduler_reserve_full_isl", engine.scheduler_reserve_full_isl},
               {"async_scheduling", engine.async_scheduling}};
  if (engine.guaranteed_no_evict) json["capacity_scheduler_policy"] = "guaranteed_no_evict";
  if (engine.kv_offloading_gib > 0) json["kv_offloading_size"] = engine.kv_offloading_gib;
  if (const auto& speculation = engine.speculation)
    json["speculative_config"] = {{"method", to_string(speculation->method)},
                                  {"num_speculative_tokens", speculation->num_speculative_tokens},
                                  {"acceptance_rate", speculation->acceptance}};
  return json;
}

/// What stands beside the result for its reader: the question, the cluster as the answer uses it, sources.
void add_context(Json& json, const Scenario& scenario, const Candidate* best, const std::string& command) {
  json["command"] = command;
  json.update(question_json(scenario));
  json["cluster"] = best ? cluster_json(scenario.cluster, *best) : Json(nullptr);
  json["provenance"] = best ? provenance_json(scenario, *best) : Json::array();
}

/// What a request asks for on average, and the demand: requests at once of a closed loop (else 0), requests/s
/// of an open one
/// ("inf": all at once).
Json mean_load_json(const WorkloadSummary& load) {
  return {{"prompt", load.prompt},
          {"output", load.output},
          {"concurrency", load.concurrency},
          {"request_rate", std::isinf(load.rate) ? Json("inf") : Json(load.rate)}};
}

Json header(const char* format, const Scenario& scenario) {
  return {{"format", format},
          {"version", schema_version},
          {"model",
           {{"name", scenario.model.architecture.name},
            {"weights", scenario.model.weights.name},
            {"kv", scenario.model.kv.name}}},
          {"engine", engine_json(scenario.engine)},
          {"seed", scenario.workload.seed}};
}

std::string text_of(const Json& json) {
  constexpr int indent = 1;
  return json.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

std::string plan_json(const Scenario& scenario, const Plan& plan, const std::vector<VariantResult>& variants,
                      const JsonValue* document, const std::string& command) {
  Json json = header("sextant plan", scenario);
  json.update(plan_object(&scenario.cluster, plan));
  for (std::size_t i = 0; i < plan.candidates.size(); ++i)
    json["candidates"][i]["changes"] = detail::changes_json(scenario, plan.candidates[i]);
  json["variants"] = Json::array();
  for (const VariantResult& variant : variants) {
    // A variant may have another cluster, whose names are in its stages; placements by index would mislead
    // here.
    json["variants"].push_back({{"name", variant.name},
                                {"changes", variant.changes},
                                {"plan", variant.plan ? plan_object(nullptr, *variant.plan) : Json(nullptr)},
                                {"infeasible", variant.infeasible},
                                {"verdict", variant.verdict},
                                {"comparison", detail::comparison_json(variant.comparison)}});
  }
  add_context(json, scenario, plan.candidates.empty() ? nullptr : &plan.candidates.front(), command);
  json["mean_load"] = mean_load_json(summarise_workload(scenario.workload));
  if (document != nullptr) json["scenario_document"] = document->json();
  return text_of(json);
}

std::string metrics_json(const Scenario& scenario, const std::vector<SimulatedRun>& runs,
                         const std::string& command, const RunSeries* series) {
  Json json = header("sextant metrics", scenario);
  json["scenario"] = scenario.name;
  json["layout"] = runs.empty() ? Json(nullptr) : layout_json(&scenario.cluster, runs.front().candidate);
  json["replications"] = Json::array();
  for (const SimulatedRun& run : runs) {
    Json entry = candidate_json(&scenario.cluster, run.candidate);
    entry.erase("layout");
    Json replication = {{"replication", run.replication}};
    replication.update(entry);
    json["replications"].push_back(replication);
  }
  json["spread"] = Json::object();
  for (const MetricSpread& s : spread_over(runs))
    json["spread"][s.metric] = {{"mean", finite(s.mean)},
                                {"deviation", finite(s.deviation)},
                                {"margin_95", finite(s.margin)},
                                {"low", finite(s.low)},
                                {"high", finite(s.high)}};
  add_context(json, scenario, runs.empty() ? nullptr : &runs.front().candidate, command);
  json["series"] = series == nullptr ? Json(nullptr) : series->json();
  return text_of(json);
}

}  // namespace sextant
