#pragma once
#include <memory>
#include <utility>
#include <vector>

#include "sim/serving/simulation.hpp"
#include "tests/sim/serving/toy_pipeline.hpp"

namespace sextant {

inline Workload closed_loop(std::int64_t clients, std::int64_t requests, double prompt, double output) {
  Workload w;
  w.arrival = Workload::Arrival::concurrency;
  w.max_concurrency = clients;
  w.num_prompts = requests;
  w.prompt.mean = prompt;
  w.output.mean = output;
  return w;
}

inline EngineOptions engine(std::int64_t seqs = 256, std::int64_t tokens = 8192) {
  EngineOptions options;
  options.max_num_seqs = seqs;
  options.max_num_batched_tokens = tokens;
  options.max_model_len = 100000;
  return options;
}

inline ServingMetrics run(const ToyPipeline& toy, std::int64_t blocks, const EngineOptions& options,
                          const Workload& workload, bool step_by_step = false) {
  SimulationOptions simulation;
  simulation.step_by_step = step_by_step;
  return simulate({{std::make_shared<ToyPipeline>(toy), blocks}}, options, workload, simulation);
}

/// These requests at their own times.
inline Workload these(std::vector<Request> requests) {
  Workload w;
  w.arrival = Workload::Arrival::trace;
  w.trace = "in memory";
  w.num_prompts = static_cast<std::int64_t>(requests.size());
  w.trace_requests = std::make_shared<const std::vector<Request>>(std::move(requests));
  return w;
}

}  // namespace sextant
