#include "sim/planner/whatif.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/pools.hpp"

namespace sextant {
namespace {

/// A scenario ready to simulate: what a SearchContext refers to.
struct Room {
  Scenario scenario;
  Machine machine;
  SearchContext context;

  Room(Scenario given, const PlanOptions& options)
      : scenario(ready(std::move(given), options)),
        machine(scenario.cluster, scenario.engine.profile, options.find_profile),
        context{scenario, machine, summarise_workload(scenario.workload),
                fault_epochs(scenario, options.find_profile)} {}
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

  static Scenario ready(Scenario scenario, const PlanOptions& options) {
    if (options.seed) scenario.workload.seed = *options.seed;
    load_trace(scenario.workload);
    return scenario;
  }
};

bool begins_with(const Variant& variant, const char* key) {
  return std::any_of(variant.changes.begin(), variant.changes.end(),
                     [&](const auto& change) { return change.first.starts_with(key); });
}

/// The base's layout (or pool) in the variant. Throws InputError or InfeasibleError with the reason.
Layout kept_layout(const Room& room, const Cluster& base, const Layout& layout) {
  const Layout same = same_layout(base, layout, room.scenario);
  if (estimate(room.context, same).kv_blocks <= 0)
    throw InfeasibleError(memory_rejection(same, tightest_replica(room.context, same)).reason);
  return same;
}

/// Runs the base's layout in the variant. Throws InputError or InfeasibleError with the reason.
Candidate keep(const Room& room, const Cluster& base, const Candidate& of, const PlanOptions& options) {
  const Layout same = kept_layout(room, base, of.layout);
  const EstimatedLayout estimated =
      of.prefill ? pools_estimate(room.context, kept_layout(room, base, of.prefill->layout), same)
                 : estimate(room.context, same);
  Candidate kept = simulate_candidate(room.context, estimated, options);
  if (kept.metrics.finished == 0) throw InfeasibleError("it serves no request");
  return kept;
}

bool same_layout_and_place(const Cluster& a, const Layout& left, const Cluster& b, const Layout& right) {
  if (left.describe() != right.describe()) return false;
  for (std::size_t r = 0; r < left.replicas.size(); ++r)
    for (std::size_t s = 0; s < left.replicas[r].size(); ++s) {
      const auto &one = left.replicas[r][s], &other = right.replicas[r][s];
      for (std::size_t i = 0; i < one.gpus.size(); ++i)
        if (a.devices[static_cast<std::size_t>(one.gpus[i])].name !=
            b.devices[static_cast<std::size_t>(other.gpus[i])].name)
          return false;
    }
  return true;
}

bool same_place(const Cluster& a, const Candidate& left, const Cluster& b, const Candidate& right) {
  if ((left.prefill == nullptr) != (right.prefill == nullptr)) return false;
  return same_layout_and_place(a, left.layout, b, right.layout) &&
         (!left.prefill || same_layout_and_place(a, left.prefill->layout, b, right.prefill->layout));
}

/// Fills in the ratios' intervals: every family at either end of its interval on both sides at once.
void add_intervals(std::map<std::string, Movement>& movements, const PerturbedRuns& base,
                   const PerturbedRuns& variant) {
  for (std::size_t m = 0; m < base.metrics.front().size(); ++m) {
    Movement& movement = movements.at(base.metrics.front()[m].first);
    const auto ratio = [](double from, double to) { return from > 0 ? to / from : std::nan(""); };
    const double nominal = ratio(movement.base, movement.variant);
    std::vector<std::pair<double, double>> ends;
    bool known = std::isfinite(nominal) && nominal > 0;
    for (std::size_t pair = 0; pair < base.families.size(); ++pair) {
      const auto at = [&](std::size_t run) {
        return ratio(base.metrics[run][m].second, variant.metrics[run][m].second);
      };
      ends.emplace_back(at(2 * pair), at(2 * pair + 1));
      known = known && std::isfinite(ends.back().first) && std::isfinite(ends.back().second) &&
              ends.back().first > 0 && ends.back().second > 0;
    }
    if (known) movement.ratio = combined_interval(nominal, ends);
  }
}

class WhatIfRun {
 public:
  WhatIfRun(const JsonValue& document, const WhatIfOptions& options)
      : document_(document), options_(options) {
    simulation_ = options.plan;
    simulation_.intervals = false;
  }

  WhatIf run(const std::vector<Variant>& variants) {
    WhatIf result;
    result.scenario = read_scenario(document_);  // first: its errors are no variant's
    result.rows.resize(variants.size());
    for (std::size_t i = 0; i < variants.size(); ++i) result.rows[i] = read(variants[i]);
    result.base = make_plan(result.scenario, simulation_).candidates.front();
    base_ = &result.base;
    room_ = std::make_unique<Room>(result.scenario, simulation_);
    if (options_.plan.intervals) {
      base_runs_ = runs(*room_, result.base);
      result.base.intervals = metric_intervals(room_->context, result.base, base_runs_).intervals;
    }
    for (std::size_t i = 0; i < variants.size(); ++i) {
      work_out(variants[i], result.rows[i]);
      if (simulation_.stop != nullptr && simulation_.stop->load()) throw Interrupted();
    }
    return result;
  }

 private:
  /// All variants are read before any is run: a typing error costs no time.
  WhatIfRow read(const Variant& variant) const {
    WhatIfRow row;
    row.name = variant.name;
    for (const auto& [path, value] : variant.changes) row.changes.push_back(path + " = " + value);
    try {
      row.scenario = read_scenario(with_changes(document_, variant.changes));
    } catch (const InputError& error) {
      throw InputError(fmt::format("variant {}: {}", variant.name, error.what()));
    }
    return row;
  }

  PerturbedRuns runs(const Room& room, const Candidate& candidate) const {
    return perturbed_runs(room.context, candidate.layout, true, simulation_, prefill_layout(candidate));
  }

  void work_out(const Variant& variant, WhatIfRow& row) {
    try {
      const Room room(row.scenario, simulation_);
      if (!begins_with(variant, "deployment")) try_to_keep(room, row);
      if (!row.kept || (options_.search && !row.scenario.deployment)) try_best(row);
      if (row.shown() != nullptr) compare(room, row);
    } catch (const InfeasibleError& error) {
      row.infeasible = error.what();
    } catch (const InputError& error) {
      row.infeasible = error.what();
    }
  }

  void try_to_keep(const Room& room, WhatIfRow& row) {
    try {
      row.kept = keep(room, room_->scenario.cluster, *base_, simulation_);
    } catch (const InfeasibleError& error) {
      row.not_kept = error.what();
    } catch (const InputError& error) {
      row.not_kept = error.what();
    }
  }

  void try_best(WhatIfRow& row) {
    Candidate best = make_plan(row.scenario, simulation_).candidates.front();
    const Cluster& cluster = row.scenario.cluster;
    const bool other =
        !row.kept || (!same_place(cluster, *row.kept, cluster, best) && ranks_before(best, *row.kept));
    if (other) row.best = std::move(best);
  }

  void compare(const Room& room, WhatIfRow& row) {
    Candidate& shown = row.kept ? *row.kept : *row.best;
    const auto from = named_metrics(base_->metrics), to = named_metrics(shown.metrics);
    for (std::size_t m = 0; m < from.size(); ++m)
      row.movements[from[m].first] = {from[m].second, to[m].second, std::nullopt};
    if (options_.plan.intervals) {
      const PerturbedRuns perturbed = runs(room, shown);
      add_intervals(row.movements, base_runs_, perturbed);
      shown.intervals = metric_intervals(room.context, shown, perturbed).intervals;
    }
    row.why = what_moved({room_->context, *base_}, {room.context, shown});
  }

  const JsonValue& document_;
  const WhatIfOptions& options_;
  PlanOptions simulation_;
  const Candidate* base_ = nullptr;
  std::unique_ptr<Room> room_;  // the base's
  PerturbedRuns base_runs_;
};

}  // namespace

bool Movement::beyond_error() const {
  return ratio && (ratio->low > 1 || ratio->high < 1);
}

const Candidate* WhatIfRow::shown() const {
  if (kept) return &*kept;
  return best ? &*best : nullptr;
}

Layout same_layout(const Cluster& base, const Layout& layout, const Scenario& variant) {
  const ServedModel& model = variant.model;
  for (const auto& replica : layout.replicas)
    if (const auto reason = cut_obstacle(model, layout.cut(replica)))
      throw InputError(fmt::format("tp {}: {}", tensor_parallel(replica), *reason));
  Layout same = layout;
  const std::vector<int> gpus = variant.cluster.gpus();
  for (auto& replica : same.replicas) {
    if (replica.back().layers.end != model.architecture.layer_count())
      throw InputError(fmt::format("it has {} layers, the model {}", replica.back().layers.end,
                                   model.architecture.layer_count()));
    const auto move = [&](int& gpu) {
      const std::string& name = base.devices[static_cast<std::size_t>(gpu)].name;
      const auto found = std::find_if(gpus.begin(), gpus.end(), [&](int other) {
        return variant.cluster.devices[static_cast<std::size_t>(other)].name == name;
      });
      if (found == gpus.end()) throw InputError(fmt::format("it needs {}, which is not there", name));
      gpu = *found;
    };
    for (StagePlacement& stage : replica) {
      std::for_each(stage.gpus.begin(), stage.gpus.end(), move);
      std::for_each(stage.expert_gpus.begin(), stage.expert_gpus.end(), move);
    }
  }
  return same;
}

WhatIf what_if(const JsonValue& document, const std::vector<Variant>& variants,
               const WhatIfOptions& options) {
  return WhatIfRun(document, options).run(variants);
}

}  // namespace sextant
