#include "reports/explorer/explorer.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "reports/explorer/point_cluster.hpp"
#include "sim/planner/first_token.hpp"
#include "sim/planner/shared_experts.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

JsonValue document(Json json) {
  const auto held = std::make_shared<const Json>(std::move(json));
  return JsonValue(held, held.get(), std::make_shared<const std::string>("scenario"), "");
}

Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

/// "inf": all requests at once.
double rate(const Json& value) {
  return value.is_string() ? std::numeric_limits<double>::infinity() : value.get<double>();
}

WorkloadSummary read_summary(const Json& load) {
  WorkloadSummary summary;
  summary.prompt = load.at("prompt").get<double>();
  summary.output = load.at("output").get<double>();
  summary.concurrency = load.at("concurrency").get<double>();
  summary.rate = rate(load.at("request_rate"));
  return summary;
}

/// Requests at once of a closed loop, else requests/s.
void set_load(Scenario& scenario, WorkloadSummary& summary, const Json& value) {
  if (summary.concurrency > 0) {
    summary.concurrency = value.get<double>();
    scenario.workload.max_concurrency = std::llround(summary.concurrency);
  } else {
    summary.rate = scenario.workload.request_rate = rate(value);
  }
}

/// The plan's layout on a cluster that has all of its GPUs, by their names.
Layout layout_of(const Json& json, const Cluster& cluster) {
  Layout layout{json.at("tp").get<int>(),
                json.at("pp").get<int>(),
                json.at("dp").get<int>(),
                {},
                json.at("ep").get<int>()};
  for (const Json& replica : json.at("replicas")) {
    std::vector<StagePlacement> stages;
    for (const Json& stage : replica) {
      StagePlacement placement;
      const Json& layers = stage.at("layers");
      placement.layers = {layers.at("begin").get<int>(), layers.at("end").get<int>()};
      for (const Json& name : stage.at("gpus")) {
        const auto same = [&](const Device& device) { return device.name == name; };
        const auto found = std::find_if(cluster.devices.begin(), cluster.devices.end(), same);
        if (found == cluster.devices.end())
          throw InputError(fmt::format("it needs {}, which is not there", name.get<std::string>()));
        placement.gpus.push_back(static_cast<int>(found - cluster.devices.begin()));
      }
      stages.push_back(std::move(placement));
    }
    layout.replicas.push_back(std::move(stages));
  }
  if (layout.alike() && layout.ep > layout.tp) share_experts(layout, layout.ep / layout.tp);
  return layout;
}

Json layout_json(CostTables& tables, const EstimatedLayout& estimated) {
  const SearchContext& context = tables.context();
  std::size_t gpus = 0;
  for (const auto& replica : estimated.layout.replicas)
    for (const StagePlacement& stage : replica) gpus += stage.gpus.size();
  return {{"layout", estimated.layout.describe()},
          {"gpus", gpus},
          {"output_throughput", finite(estimated.output_throughput)},
          {"request_throughput", finite(estimated.output_throughput / context.workload.output)},
          {"mean_tpot_ms", finite(1e3 * estimated.token_seconds)},
          {"mean_ttft_ms", finite(1e3 * first_token_seconds(tables, estimated))},
          {"kv_tokens", estimated.kv_blocks * context.scenario.engine.block_size}};
}

/// The rejection that comes nearest to fitting, in words.
std::string why_nothing_fits(const std::vector<Rejection>& rejections) {
  const Rejection* nearest = nullptr;
  for (const Rejection& one : rejections) {
    const bool nearer = one.shortfall_bytes > 0 && (nearest == nullptr || nearest->shortfall_bytes <= 0 ||
                                                    one.shortfall_bytes < nearest->shortfall_bytes);
    if (nearest == nullptr || nearer) nearest = &one;
  }
  return nearest == nullptr ? "no layout is possible"
                            : fmt::format("{}: {}", nearest->layout, nearest->reason);
}

void add_best(const SearchContext& context, Json& answer) {
  SearchOptions options;
  options.prove = false;  // takes seconds, and a slider waits
  const SearchResult found = search_layouts(context, options);
  answer["best"] = nullptr;
  if (found.layouts.empty()) {
    answer["best_missing"] = why_nothing_fits(found.rejections);
    return;
  }
  CostTables tables(context, found.layouts.front().layout.ep > 1);
  answer["best"] = layout_json(tables, found.layouts.front());
}

void add_planned(const SearchContext& context, const Json& planned, Json& answer) {
  answer["planned"] = nullptr;
  try {
    const Layout layout = layout_of(planned, context.scenario.cluster);
    CostTables tables(context, layout.ep > 1);
    const EstimatedLayout estimated =
        layout.shares_experts() ? estimate_sharing(context, layout) : estimate(tables, layout);
    if (estimated.kv_blocks > 0)
      answer["planned"] = layout_json(tables, estimated);
    else
      answer["planned_missing"] = memory_rejection(layout, tightest_replica(context, layout)).reason;
  } catch (const InputError& error) {
    answer["planned_missing"] = error.what();
  }
}

}  // namespace

Explorer::Explorer(const std::string& question) : question_(JsonValue::parse(question, "explorer")) {}

std::string Explorer::answer(const std::string& text) {
  const Json point = Json::parse(text);
  const Json& question = question_.json();
  Json changed = question.at("scenario");
  changed["cluster"] = at_point(changed.at("cluster"), point);
  Scenario scenario = read_scenario(document(std::move(changed)));
  WorkloadSummary summary = read_summary(question.at("load"));
  if (point.contains("load")) set_load(scenario, summary, point.at("load"));
  const Machine machine(scenario.cluster, scenario.engine.profile, [&](const std::string& gpu) {
    auto known = profiles_.find(gpu);
    if (known == profiles_.end()) known = profiles_.emplace(gpu, find_gpu_profile(gpu)).first;
    return known->second;
  });
  const SearchContext context{scenario, machine, summary};
  Json answer;
  add_best(context, answer);
  add_planned(context, question.at("layout"), answer);
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sextant
