#pragma once
#include <limits>
#include <memory>
#include <mutex>
#include <set>

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

/// A prompt that few are longer than, and the seconds to the first token that the SLO allows; infinity
/// without.
struct PromptDemand {
  std::int64_t tokens = 0;
  double seconds_allowed = std::numeric_limits<double>::infinity();
};

/// Of a scenario with a bound on p99 TTFT; else no tokens.
PromptDemand prompt_demand(const Scenario&);
/// The tightest bound on the time between tokens, in seconds; infinity without one.
double token_seconds_allowed(const Scenario&);
/// The better of two looks at one model: first what fits, then what keeps the SLO's times, then throughput.
bool more_promising(const Outlook& a, const Outlook& b);

/// Looks at purchases; what does not depend on the purchase is worked out once. For several threads.
class PurchaseEstimator {
 public:
  /// The question outlives it.
  PurchaseEstimator(const PurchaseQuestion&, const std::vector<ModelBound>&, GpuProfileFinder);
  Outlook look(const Purchase&) const;
  /// As purchase_scenario; of clusters of the same kinds of GPU all but the cluster is read once.
  Scenario scenario(std::size_t model, const Purchase&, const std::string& cluster) const;
  /// The scenario's cluster with its profiles.
  Machine machine(const Scenario&) const;

 private:
  struct Model {
    const PurchaseModel* model;
    WorkloadSummary workload;
    PromptDemand demand;
  };

  const PurchaseQuestion& question_;
  GpuProfileFinder find_profile_;
  std::vector<Model> models_;
  mutable std::mutex mutex_;
  mutable std::map<std::pair<std::size_t, std::set<std::string>>, std::shared_ptr<const Scenario>> alike_;
};

/// A purchase on its way to being planned.
struct Prospect {
  Purchase purchase;
  PurchaseTotals totals;
  PurchaseKind kind;
  double bound = 0;        ///< output tokens/s by the models' shares that it cannot exceed, by data sheets
  Outlook outlook;         ///< its estimate, or before that the best case
  bool estimated = false;  ///< the outlook is the estimate
};

/// Whether the outlook makes `a` more promising than `b`, as the preference goes.
bool more_promising(PurchasePreference, const Prospect& a, const Prospect& b);

class PurchaseFloors;

/// Prospects in the order in which they are worth planning: of two thirds of `most` sorts (cards, or mixed,
/// and nodes) the most promising first, then the most promising of all. Estimates only those whose best case
/// could come next: the order is that of estimating all of them.
class PurchaseOrder {
 public:
  /// `floors` nullptr: every prospect is estimated. All outlive it.
  PurchaseOrder(PurchasePreference, std::vector<Prospect>& prospects, const PurchaseEstimator&,
                PurchaseFloors* floors, const PlanOptions&, int most);
  /// The next one; nullptr after the last.
  Prospect* next();
  int estimated() const { return estimated_; }
  /// Why the prospects that next() did not give come after those it gave.
  void tell_rest(LeftOut&) const;

 private:
  using List = std::vector<std::size_t>;  ///< a heap, the most promising on top
  bool behind(std::size_t a, std::size_t b) const;
  void estimate_all(const std::vector<std::size_t>& chosen);
  void settle_top(List&);
  /// The list whose top is the most promising, and estimated; nullptr where all are empty.
  List* best_list(const std::vector<List*>&);
  Prospect* take(List&);

  PurchasePreference prefer_;
  std::vector<Prospect>& prospects_;
  const PurchaseEstimator& estimator_;
  const PlanOptions& options_;
  std::vector<List> sorts_;
  std::set<const List*> begun_;
  std::vector<char> given_;
  std::size_t firsts_ = 0;
  int estimated_ = 0;
  const Prospect* last_ = nullptr;
};

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

/// Fills in for every alternative what would make it the better buy: prices and electricity by adding up,
/// load, prompt length and the best's memory rate by simulating both on the layouts that were kept.
void find_flips(const PurchaseQuestion&, PurchasePlan&, const PlanOptions&);

}  // namespace sextant
