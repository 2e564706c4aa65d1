#pragma once
#include "sim/planner/plan.hpp"

namespace sextant::test {

/// Two nodes with one GPU each, named node-a/gpu0 and node-b/gpu0.
inline Scenario example_scenario() {
  Scenario scenario;
  scenario.name = "two-cards";
  scenario.model.architecture.name = "tiny";
  scenario.model.weights.name = "awq-int4";
  scenario.model.kv.name = "bf16";
  scenario.cluster.nodes = {{"node-a", "workstation", true, {0}, {}},
                            {"node-b", "workstation", true, {1}, {}}};
  scenario.cluster.devices = {{"node-a/gpu0", DeviceKind::gpu, 0, "rtx-pro-6000-workstation"},
                              {"node-b/gpu0", DeviceKind::gpu, 1, "rtx-pro-6000-workstation"}};
  scenario.workload.arrival = Workload::Arrival::concurrency;
  scenario.workload.max_concurrency = 96;
  scenario.workload.num_prompts = 960;
  scenario.workload.prompt = {LengthDistribution::Kind::lognormal, 512, 0.6, 1, 4096};
  scenario.workload.output = {LengthDistribution::Kind::fixed, 256, 0, 1, 256};
  scenario.workload.seed = 7;
  scenario.slo = {
      {"p99_ttft_ms", true, 2000}, {"output_throughput", false, 300}, {"p90_e2el_ms", true, 90000}};
  return scenario;
}

inline StageReport example_stage(LayerRange layers, const std::string& device, const std::string& hop) {
  StageReport stage;
  stage.layers = layers;
  stage.gpus = {device};
  stage.gpu = "rtx-pro-6000-workstation";
  // usable 92.4 - weights 67.2 - activations 1 - context 0.5 - communication 0.25 - engine 0.75 = 22.7 GB for
  // KV
  stage.memory.budget = {102.64e9, 92.4e9, 67.2e9, 1e9, 0.5e9, 0.25e9, 0.75e9, 172032};
  stage.memory.device = 0;
  stage.kv_tokens = 131952;
  stage.decode_pass_ms = 61.5;
  stage.decode_families[Family::gemm] = 0.045;
  stage.decode_families[Family::attention_decode] = 0.015;
  stage.chunk_pass_ms = 812.4;
  stage.hop = hop;
  if (!hop.empty()) {
    stage.decode_hop_ms = 0.13;
    stage.chunk_hop_ms = 6.72;
    stage.decode_hop_bytes = 32 * 65536.0;
    stage.chunk_hop_bytes = 2048 * 65536.0;
  }
  stage.shares = {0.8, 0, 0.2, 0.031};
  return stage;
}

inline Candidate example_candidate(int first_stage_layers = 63) {
  Candidate candidate;
  candidate.layout = {1, 2, 1, {{{{0, first_stage_layers}, {0}}, {{first_stage_layers, 126}, {1}}}}};
  candidate.stages = {example_stage({0, first_stage_layers}, "node-a/gpu0", "RoCE 200 Gbit/s, GPUDirect"),
                      example_stage({first_stage_layers, 126}, "node-b/gpu0", "")};
  candidate.kv_tokens = 131952;
  candidate.decode_batch = 32;
  candidate.decode_context = 640;
  candidate.chunk_tokens = 2048;
  candidate.simulated = true;
  ServingMetrics& m = candidate.metrics;
  m.arrived = 960;
  m.finished = 958;
  m.rejected = 2;
  m.steps = 40000;
  m.prompt_tokens = 490000;
  m.output_tokens = 245000;
  m.duration_s = 700.25;
  m.request_throughput = 1.368;
  m.output_throughput = 349.9;
  m.total_token_throughput = 1049.6;
  m.ttft = {812.3, 640.1, 1500.9, 3120.4};
  m.tpot = {183.2, 182.0, 190.4, 199.9};
  m.itl = {183.1, 181.5, 192.2, 901.7};
  m.e2el = {47500.4, 46000, 71000, 81000};
  m.mean_running = 95.5;
  m.mean_waiting = 0.6;
  m.kv_occupancy_mean = 0.61;
  m.kv_occupancy_peak = 0.83;
  m.limits.max_num_seqs = 1;
  m.stages = {candidate.stages[0].shares, candidate.stages[1].shares};
  m.events = 123456;
  m.fingerprint = "00c0ffee00c0ffee";
  candidate.meets_slo = false;
  candidate.missed = {"p99_ttft_ms is 3120.4, bound <=2000"};
  candidate.intervals["output_throughput"] = {290, 349.9, 401};
  candidate.intervals["p99_ttft_ms"] = {2700, 3120.4, 3500};
  candidate.grade = Grade::scaled;
  return candidate;
}

inline Plan example_plan() {
  Plan plan;
  plan.scenario = "two-cards";
  plan.candidates = {example_candidate(), example_candidate(64)};
  plan.considered = 21;
  plan.rejections = {{"tp 3", "128 attention heads are not divisible by 3", 0},
                     {"tp 5", "128 attention heads are not divisible by 5", 0},
                     {"pp 1", "each GPU needs 203.5 GB of weights, the GPU has 102.6", 111.1e9}};
  plan.reasons = {"the busiest stage is 0 (80 % busy)"};
  return plan;
}

inline std::vector<VariantResult> example_variants() {
  VariantResult faster{
      "400G", {"cluster.nodes[*].nic = connectx-7-400"}, example_plan(), "", "nothing anyone would notice"};
  faster.plan->candidates.front().metrics.output_throughput = 384.89;  // 349.9 x 1.1
  const VariantResult small{
      "one card", {"cluster.nodes = []"}, std::nullopt, "two-cards: no layout fits", "no layout fits"};
  return {faster, small};
}

}  // namespace sextant::test
