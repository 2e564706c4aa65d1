#pragma once
#include "sim/planner/purchase.hpp"
#include "sim/planner/search.hpp"

// The parts of plan_purchase, each its own file.
namespace sextant {

/// One model of the question with what bounds follow from.
struct ModelBound {
  const PurchaseModel* model = nullptr;
  Scenario scenario;  ///< on some cluster of the question: for model, engine, workload and SLO only
  WorkloadSummary workload;
  double weight_bytes = 0;    ///< of the whole model
  double streamed_bytes = 0;  ///< that a token's pass must read at least, whoever shares the pass
  double token_flops = 0;     ///< of one token, embedding and head left out
};

std::vector<ModelBound> model_bounds(const PurchaseQuestion&);

/// Why GPUs (by name and count) cannot hold a model with the KV cache asked for, however laid out.
std::optional<std::string> memory_obstacle(const PurchaseQuestion&, const std::vector<ModelBound>&,
                                           const std::map<std::string, int>& gpus);

/// Output tokens/s that no layout on these GPUs exceeds: each token's pass reads the weights it meets at
/// least once, shared by at most all requests at once, at the GPUs' memory rates together; and its
/// arithmetic, with its part of a prompt's, at their arithmetic rates together. Infinity where a rate is not
/// known.
double throughput_bound(const ModelBound&, const std::map<std::string, int>& gpus);

/// Milliseconds between two tokens that no layout on these GPUs undercuts: the weights a token meets, read
/// once by as many GPUs as the model can be cut over. 0 where a rate is not known.
double token_ms_bound(const ModelBound&, const std::map<std::string, int>& gpus);

/// Which SLO the bounds prove impossible: "p99_tpot_ms <=10 of llama-3.1-405b is below the 15.9 ms ..".
std::optional<std::string> slo_obstacle(const std::vector<ModelBound>&,
                                        const std::map<std::string, int>& gpus);

/// A cheap look at a purchase: the best of the even layouts in order of the GPUs, by the analytic estimate.
struct Outlook {
  bool fits = false;  ///< some layout holds every model
  bool meets_times =
      true;  ///< the estimate keeps every bound on TPOT, and a long prompt alone that on p99 TTFT
  double output_throughput = 0;  ///< by the models' shares
  std::string failure;           ///< why it does not fit
};
Outlook outlook_of(const PurchaseQuestion&, const Purchase&, const GpuProfileFinder&);

/// A finder that reads each profile once; for several threads.
GpuProfileFinder remembering(GpuProfileFinder);

/// Plans one model of a purchase; the reason where that is impossible.
struct ModelPlan {
  std::optional<ModelAnswer> answer;
  std::string failure;
};
ModelPlan plan_model(const PurchaseQuestion&, const PurchaseModel&, const Purchase&, const PlanOptions&,
                     const PurchaseLimits&);

/// Up to three planned purchases that differ in kind from the best: another card first, then another number
/// of nodes, then another network or mixture, then whatever is left, each the best of its sort.
std::vector<PurchaseAlternative> alternatives_to(const PlannedPurchase& best,
                                                 const std::vector<PlannedPurchase>& ranked);

/// What would make the alternative the better buy: prices and electricity by adding up, load, prompt length
/// and the best's memory rate by simulating both on the layouts that were kept.
std::vector<Flip> flips_to(const PurchaseQuestion&, const PlannedPurchase& best,
                           const PlannedPurchase& alternative, const PlanOptions&);

}  // namespace sextant
