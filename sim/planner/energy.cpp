#include "sim/planner/energy.hpp"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <set>

#include "models/profile/power.hpp"
#include "sim/planner/candidate.hpp"

namespace sextant {
namespace {

/// Shares of a stage's time, by what draws power.
struct PowerShares {
  double tensor = 0, stream = 0, idle = 0;
};

/// Share of a pass without its collectives that computes rather than streams.
double tensor_share(const ReplicaModel& model, int stage, const PassShape& shape) {
  const FamilySeconds seconds = model.families(stage, shape);
  const double all = seconds.total(), own = all - seconds[Family::collective];
  if (own <= 0) return 0;
  return std::clamp(1 - model.memory_bound_share(stage, shape) * all / own, 0.0, 1.0);
}

/// Prompts take so many full chunks; the rest of the busy time decodes.
PowerShares power_shares(const EngineOptions& engine, const Candidate& candidate, const ReplicaModel& model,
                         int stage) {
  const StageReport& report = candidate.stages[static_cast<std::size_t>(stage)];
  const ServingMetrics& metrics = candidate.metrics;
  const PrefillChunk chunk{candidate.chunk_tokens, 0};
  PassShape prefill;
  prefill.chunks = {&chunk, 1};
  prefill.samples = 1;
  const PassShape decode =
      decode_pass(engine, candidate.decode_batch, static_cast<double>(candidate.decode_context));

  const double busy = (report.shares.compute + report.shares.communication) * metrics.duration_s;
  const double chunks = static_cast<double>(metrics.prompt_tokens) /
                        static_cast<double>(candidate.layout.dp) /
                        static_cast<double>(candidate.chunk_tokens);
  const double prefill_share = busy > 0 ? std::min(1.0, chunks * report.chunk_pass_ms / 1e3 / busy) : 0;
  const double tensor = prefill_share * tensor_share(model, stage, prefill) +
                        (1 - prefill_share) * tensor_share(model, stage, decode);
  return {report.shares.compute * tensor, report.shares.compute * (1 - tensor) + report.shares.communication,
          report.shares.bubble};
}

double mean_watts(const PowerModel& model, double limit, const PowerShares& shares) {
  return shares.tensor * watts_under(model, limit, Work::tensor) +
         shares.stream * watts_under(model, limit, Work::stream) + shares.idle * model.static_watts.value;
}

Grade grade_of(const PowerModel& model) {
  Grade grade = Grade::measured;
  for (const Figure* figure : {&model.static_watts, &model.memory_watts, &model.tensor_watts_per_mhz,
                               &model.stream_watts_per_mhz, &model.voltage_slope_per_ghz})
    grade = weakest(grade, figure->grade);
  return grade;
}

}  // namespace

std::optional<Energy> energy_of(const SearchContext& context, const Candidate& candidate) {
  if (!(candidate.metrics.output_throughput > 0) || candidate.stages.empty()) return std::nullopt;
  const Cluster& cluster = context.scenario.cluster;
  const auto& replicas = candidate.layout.replicas;
  const ReplicaModel model(context.scenario.model, context.machine, replicas.front(),
                           candidate.layout.cut(replicas.front()));
  Energy energy;
  std::set<std::string> unknown;
  bool slowed = false;
  std::vector<PowerShares> of_stages;
  for (int stage = 0; stage < model.stages(); ++stage)
    of_stages.push_back(power_shares(context.scenario.engine, candidate, model, stage));
  for (const auto& replica : replicas) {
    for (std::size_t stage = 0; stage < replica.size(); ++stage) {
      // A replica unlike the first one, whose shares nobody reported, is taken to be as busy.
      const PowerShares& shares = of_stages[std::min(stage, of_stages.size() - 1)];
      for (const int device : replica[stage].gpus) {
        const std::optional<PowerModel>& power = context.machine.profile(device)->power;
        const Gpu& gpu = cluster.gpu(device);
        if (power) {
          slowed = slowed || cluster.devices[static_cast<std::size_t>(device)].clock.has_value();
          const auto& own = cluster.devices[static_cast<std::size_t>(device)].power_limit_watts;
          energy.gpu_watts += mean_watts(*power, own.value_or(power->default_watts.value), shares);
          energy.grade = weakest(energy.grade, grade_of(*power));
          continue;
        }
        if (!gpu.power_watts) return std::nullopt;
        energy.gpu_watts += gpu.power_watts->value;
        energy.grade = weakest(energy.grade, gpu.power_watts->grade);
        unknown.insert(gpu.name);
      }
    }
  }
  energy.upper_bound = !unknown.empty() || slowed;
  energy.joules_per_output_token = energy.gpu_watts / candidate.metrics.output_throughput;
  energy.basis = !unknown.empty() ? fmt::format("no power model of {}: the card's power limit throughout",
                                                fmt::join(unknown, ", "))
                                  : "power models of the cards; shares of computing, streaming and waiting";
  if (slowed) energy.basis += "; a card at a lower clock counts as at its usual one";
  return energy;
}

}  // namespace sextant
