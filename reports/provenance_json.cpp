#include <fmt/core.h>

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "models/base/error.hpp"
#include "models/profile/assumptions.hpp"
#include "models/profile/engine_profile.hpp"
#include "reports/context_json.hpp"
#include "sim/fabric/route.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

/// Collects figures with where they come from.
class Provenance {
 public:
  void add(const std::string& of, const std::string& figure, const std::string& value, Grade grade,
           const std::string& source) {
    list_.push_back(
        {{"of", of}, {"figure", figure}, {"value", value}, {"grade", to_string(grade)}, {"source", source}});
  }
  void add(const std::string& of, const std::string& name, const Figure& figure, const std::string& unit) {
    add(of, name, fmt::format("{:.6g} {}", figure.value, unit), figure.grade,
        figure.note.empty() ? figure.source : figure.source + "; " + figure.note);
  }
  Json list() && { return std::move(list_); }

 private:
  Json list_ = Json::array();
};

std::string error_text(const OperatorModel& model) {
  if (model.median_error)
    return fmt::format("median error {:.1f} % on unseen shapes", 100 * *model.median_error);
  return fmt::format("true / predicted {:.2f} to {:.2f} (90 %)", model.spread.low, model.spread.high);
}

void add_operators(Provenance& list, const std::string& of, const char* family,
                   const OperatorModels& models) {
  for (const auto& [type, model] : models)
    list.add(of, fmt::format("{} {}", family, type), error_text(model), model.grade, model.source);
}

void add_gpu(Provenance& list, const std::string& name) {
  const Gpu& gpu = find_gpu(name);
  const std::string of = "GPU " + name;
  list.add(of, "memory as the driver reports it", gpu.memory_bytes, "bytes");
  if (gpu.memory_gbps) list.add(of, "memory bandwidth", *gpu.memory_gbps, "10^9 B/s");
  if (gpu.power_watts) list.add(of, "default power limit", *gpu.power_watts, "W");
  const GpuProfile profile = find_gpu_profile(name);
  const std::string kernels = "kernels of " + name;
  if (!profile.scaled_from.empty())
    list.add(kernels, "profile", "scaled from " + profile.scaled_from, Grade::scaled, profile.provenance);
  add_operators(list, kernels, "gemm", profile.gemm);
  add_operators(list, kernels, "attention_prefill", profile.attention_prefill);
  add_operators(list, kernels, "attention_decode", profile.attention_decode);
  add_operators(list, kernels, "moe", profile.moe);
  add_operators(list, kernels, "latent_prefill", profile.latent_prefill);
  add_operators(list, kernels, "latent_decode", profile.latent_decode);
  list.add(kernels, "elementwise", error_text(profile.elementwise), profile.elementwise.grade,
           profile.elementwise.source);
  add_operators(list, kernels, "elementwise", profile.elementwise_ops);
  if (profile.power) {
    list.add("power of " + name, "static", profile.power->static_watts, "W");
    list.add("power of " + name, "memory", profile.power->memory_watts, "W");
  }
}

void add_engine(Provenance& list, const std::string& name) {
  const EngineProfile engine = find_engine_profile(name);
  const std::string of = "engine " + name;
  list.add(of, "host time of a step", engine.step_us, "us");
  list.add(of, "host time of a step for each request", engine.step_us_per_request, "us");
  list.add(of, "front end, each request", engine.front_end_us, "us");
  if (engine.late_first_token_ms.value > 0)
    list.add(of, "late first tokens, in the interval of p99 TTFT", engine.late_first_token_ms, "ms");
  list.add(of, "memory of context and kernels", engine.memory.context_bytes, "bytes");
  list.add(of, "memory of a communicator", engine.memory.bytes_per_communicator, "bytes");
  list.add(of, "memory of graphs and workspaces", engine.memory.workspace_bytes, "bytes");
}

/// The links between the best candidate's GPUs, each kind of route once.
void add_links(Provenance& list, const Cluster& cluster, const Layout& layout) {
  if (cluster.links.empty()) return;
  const Topology topology(cluster);
  std::set<std::string> told;
  const auto tell = [&](int from, int to, const char* what) {
    if (from == to) return;
    const Route route = topology.route(from, to);
    if (!told.insert(std::string(what) + route.describe()).second) return;
    list.add("link: " + route.describe(), what,
             fmt::format("profile {}, {:.4g} x 10^9 B/s", route.profile.name, route.bottleneck_gbps),
             route.grade(),
             route.profile.provenance.empty() ? route.profile.send.source : route.profile.provenance);
  };
  constexpr std::size_t replicas_looked_at = 8;
  for (std::size_t r = 0; r < std::min(replicas_looked_at, layout.replicas.size()); ++r)
    for (std::size_t s = 0; s < layout.replicas[r].size(); ++s) {
      const std::vector<int>& gpus = layout.replicas[r][s].gpus;
      for (std::size_t i = 1; i < gpus.size(); ++i) tell(gpus[i - 1], gpus[i], "tensor parallel");
      if (s + 1 < layout.replicas[r].size() && !gpus.empty() && !layout.replicas[r][s + 1].gpus.empty())
        tell(gpus.front(), layout.replicas[r][s + 1].gpus.front(), "hop between stages");
    }
}

}  // namespace

Json provenance_json(const Scenario& scenario, const Candidate& best) {
  Provenance list;
  std::set<std::string> models;
  for (const int gpu : scenario.cluster.gpus())
    models.insert(scenario.cluster.devices[static_cast<std::size_t>(gpu)].model);
  // A result stands without its provenance: a profile that was given for the run alone is not found again.
  const auto attempt = [](const auto& add) {
    try {
      add();
    } catch (const InputError&) {
    }
  };
  for (const std::string& model : models) attempt([&] { add_gpu(list, model); });
  attempt([&] { add_links(list, scenario.cluster, best.layout); });
  attempt([&] { add_engine(list, scenario.engine.profile); });
  attempt([&] {
    const BoundedFigure structural = shipped_assumptions().structural;
    list.add("every time of a run",
             fmt::format("what no operator covers, {:.2f} to {:.2f}", structural.low, structural.high),
             structural.figure, "x");
  });
  return std::move(list).list();
}

}  // namespace sextant
