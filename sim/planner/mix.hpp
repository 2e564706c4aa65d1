#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/planner/plan.hpp"
#include "sim/scenario/mix_question.hpp"

namespace sextant {

/// One model in one division: the GPUs it gets and how it serves its load on them.
struct MixAnswer {
  std::string model;
  std::vector<std::string> gpus;  ///< device names
  std::string kinds;              ///< "4 h200-sxm"
  double estimate = 0;            ///< times its load that the share carries, by the analytic estimate
  Scenario scenario;              ///< as answered, on the GPUs of its share
  Plan plan;                      ///< at its own load, the layout that grows furthest first; empty: `failure`
  std::optional<LoadSearch> load;  ///< how far its load can grow; nullopt: `failure`
  double factor = 0;               ///< times its load at which the SLO still holds, as far as was tried
  bool meets_slo = false;          ///< at its own load, and starts and rejects nothing
  std::string failure;             ///< why it cannot be served on its share
  std::string held_back_by;        ///< "p99_tpot_ms is 61.2 at 4.1 requests/s, bound <=50"
};

/// One way to divide the cluster's GPUs, simulated.
struct MixDivision {
  std::vector<MixAnswer> models;  ///< in the scenario's order
  bool meets_slo = false;         ///< of every model, at its own load
  double factor = 0;              ///< by which all loads can grow: the least of the models'
  std::size_t tightest = 0;       ///< the model that is the least
};

/// A link on the way of two models' traffic, which are simulated apart.
struct SharedLink {
  std::string link;                      ///< "node-a/nic0 - switch0 (ethernet)"
  std::map<std::string, double> busy;    ///< share of the time that each model's traffic is on it
  std::map<std::string, double> slower;  ///< by at most so much each model's passes take longer (0.03: 3 %)
};

/// How the best division was settled.
struct MixProof {
  std::int64_t divisions = 0;  ///< up to the exchange of equal GPUs and nodes
  std::int64_t estimated = 0, simulated = 0;
  std::map<std::string, std::int64_t> pruned;  ///< divisions by bound: memory, roofline
  bool every_division = true;  ///< false: only shares one after another along the nodes were looked at
  bool complete = true;        ///< by the estimate no division is better than the best estimated one
  double bound = 0;            ///< times all loads that no division exceeds, by the estimate
  double best_estimate = 0;    ///< of those estimated
};

struct MixLimits {
  int most_divided = 20'000;  ///< divisions that are bounded one by one
  int most_simulated = 6;     ///< divisions
  int layouts_simulated = 4;  ///< of each model on each share
  int layouts_kept = 3;       ///< of each model of the best division
};

/// The answer to a mix.
struct MixPlan {
  MixDivision best;
  std::vector<MixDivision> others;  ///< the next best, best first
  std::vector<SharedLink> shared;   ///< of the best division
  std::vector<std::string> reasons;
  MixProof proof;
  bool interrupted = false;  ///< the best of those simulated until it was stopped
};

/// Divides the GPUs among the models, each with a layout of its own: bounds prune divisions, an analytic
/// estimate orders them, the event simulation decides. The best keeps every model's SLO at its own load and,
/// among those that do, lets all loads grow by the greatest common factor within the SLOs; of factors within
/// 2 % the next smallest decides. Throws InfeasibleError where some model fits nowhere, where no division
/// holds all, and where none keeps every SLO (naming the model, the bound and how far the loads can go);
/// Interrupted where it is stopped before one division was simulated.
MixPlan plan_mix(const MixQuestion&, const PlanOptions& = {}, const MixLimits& = {});

}  // namespace sextant
