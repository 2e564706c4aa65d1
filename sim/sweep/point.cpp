#include "sim/sweep/point.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

using Json = nlohmann::ordered_json;

Json finite(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

void add_candidate(const Candidate& best, Json& row) {
  const Layout& layout = best.layout;
  row["tp"] = layout.tp;
  row["pp"] = layout.pp;
  row["dp"] = layout.dp;
  row["ep"] = layout.ep;
  row["split"] = layout.split();
  row["kv_tokens"] = best.kv_tokens;
  for (const auto& [name, value] : named_metrics(best.metrics)) row[name] = finite(value);
  row["startable"] = best.startable;
  row["meets_slo"] = best.meets_slo;
  row["overloaded"] = best.metrics.overloaded;
  row["grade"] = to_string(best.grade);
  row["extrapolated"] = best.extrapolated;
  row["usd_per_million_output_tokens"] =
      best.usd_per_million_output_tokens ? finite(*best.usd_per_million_output_tokens) : Json(nullptr);
  row["gpu_watts"] = best.energy ? finite(best.energy->gpu_watts) : Json(nullptr);
  row["joules_per_output_token"] = best.energy ? finite(best.energy->joules_per_output_token) : Json(nullptr);
  row["fingerprint"] = best.metrics.fingerprint;
}

/// The reason without the scenario's own name in front: rows do not depend on how it was called.
std::string without_file(std::string reason, const std::string& file) {
  const std::string front = file + ": ";
  return reason.starts_with(front) ? reason.substr(front.size()) : reason;
}

Plan plan_point(const SweepGrid& grid, std::uint64_t point, SharedProfiles& profiles,
                const std::atomic<bool>* stop) {
  PlanOptions options;
  options.threads = 1;  // the points are what runs side by side
  options.intervals = false;
  options.stop = stop;
  options.find_profile = [&profiles](const std::string& gpu) { return profiles.find(gpu); };
  return make_plan(read_scenario(grid.at(point)), options);
}

}  // namespace

GpuProfile SharedProfiles::find(const std::string& gpu) {
  const std::lock_guard lock(mutex_);
  const auto known = profiles_.find(gpu);
  return known != profiles_.end() ? known->second
                                  : profiles_.emplace(gpu, find_gpu_profile(gpu)).first->second;
}

std::string run_point(const SweepGrid& grid, std::uint64_t point, SharedProfiles& profiles,
                      const std::atomic<bool>* stop) {
  Json row = {{"point", point}, {"values", Json::array()}, {"status", "ok"}, {"reason", ""}};
  for (const std::string& value : grid.values(point)) row["values"].push_back(Json::parse(value));
  const auto stopped_by = [&](const char* status, const Error& error) {
    row["status"] = status;
    row["reason"] = without_file(error.what(), grid.scenario().file());
  };
  try {
    add_candidate(plan_point(grid, point, profiles, stop).candidates.front(), row);
  } catch (const InfeasibleError& error) {
    stopped_by("no plan", error);
  } catch (const InputError& error) {
    stopped_by("refused", error);
  }
  if (stop != nullptr && stop->load()) throw Interrupted();
  return row.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace sextant
