#pragma once
#include <memory>

#include "sim/planner/branch_and_bound.hpp"
#include "sim/planner/choices.hpp"
#include "sim/planner/mix.hpp"
#include "sim/planner/mix_divisions.hpp"

// The parts of plan_mix, each its own file.
namespace sextant {

/// The best layouts of one model on one share, by the estimate.
struct ShareEstimate {
  double factor = 0;     ///< times its load that the best layout carries; 0: nothing fits
  bool complete = true;  ///< nothing carries more
  std::string nearest;   ///< why nothing fits, then
};

/// One model on any share of the cluster, by bounds and by the estimate; shares of one key are alike.
class MixModelEstimator {
 public:
  /// The model outlives it. Throws InfeasibleError where the model fits nowhere.
  MixModelEstimator(const MixModel&, const PlanOptions&, SearchOptions);

  const MixModel& model() const { return model_; }
  /// Times its load that nothing on these GPUs exceeds; 0: their memory does not hold the weights.
  double bound(const std::vector<int>& gpus) const;
  /// Searches the layouts of the share. For several threads.
  ShareEstimate estimate(const GpuShare&) const;
  /// "140.9 GB of weights".
  std::string weights_text() const;

 private:
  const MixModel& model_;
  SearchOptions search_;
  std::vector<std::unique_ptr<PlannedChoice>> choices_;
  std::map<int, double> speeds_;   // output tokens/s of each GPU at the most
  double least_weight_bytes_ = 0;  // of all choices, spread over the GPUs
  double most_utilisation_ = 0;    // of a GPU's memory
  double load_ = 0;                // output tokens/s that its own load asks for
};

/// One division as the estimate sees it.
struct EstimatedDivision {
  std::size_t division = 0;     ///< index
  std::vector<double> factors;  ///< of each model, by the estimate
  double least() const;
};

/// Bounds every division, estimates those that may be the best.
class MixEstimates {
 public:
  MixEstimates(const MixQuestion&, const PlanOptions&, const MixLimits&);

  /// Those with a layout for every model, the greatest least factor first. Throws InfeasibleError where no
  /// division holds every model.
  std::vector<EstimatedDivision> run();

  const GpuDivision& division(std::size_t index) const { return divisions_.all[index]; }
  const std::vector<GpuPool>& pools() const { return pools_; }
  const MixProof& proof() const { return proof_; }

 private:
  struct Bounded {
    std::size_t division = 0;
    double bound = 0;
    int rank = 0;  // among those of the same sizes, by how scattered they are
  };
  std::vector<Bounded> bounded();
  void estimate_all(const std::vector<std::size_t>& divisions);
  double known(std::size_t model, const GpuShare&) const;
  std::size_t most_estimated() const;
  [[noreturn]] void none_holds_all();

  const MixQuestion& question_;
  PlanOptions options_;
  std::vector<GpuPool> pools_;
  GpuDivisions divisions_;
  std::vector<std::unique_ptr<MixModelEstimator>> models_;
  std::vector<std::map<std::vector<std::vector<int>>, ShareEstimate>> shares_;  // by model
  MixProof proof_;
};

/// Whether factors `a` beat `b`: the greater least one in classes of two percent, then the next.
bool grows_further(std::vector<double> a, std::vector<double> b);

/// One model on a share, simulated: how far its load can grow and how it serves its own.
MixAnswer answer_on_share(const MixModel&, const std::vector<int>& gpus, const PlanOptions&,
                          const MixLimits&);

/// The same of an answer on other GPUs of the same key, which it is moved to; with other layouts beside it,
/// reasons and (with options.intervals) intervals.
MixAnswer full_answer(const MixModel&, const MixAnswer&, const std::vector<int>& from,
                      const std::vector<int>& to, const PlanOptions&, const MixLimits&);

/// Links that carry traffic of several models of the division.
std::vector<SharedLink> shared_links(const MixDivision&);

/// Why the division is the best, what holds each model back, and what is not simulated; in sentences.
std::vector<std::string> explain_mix(const MixQuestion&, const MixPlan&);

}  // namespace sextant
