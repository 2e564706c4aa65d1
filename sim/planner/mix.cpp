#include "sim/planner/mix.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/mix_parts.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

using Key = std::vector<std::vector<int>>;

/// An answer on the GPUs that it was simulated on; it holds for every share of the same key.
struct SharedAnswer {
  std::vector<int> gpus;
  MixAnswer answer;
};

std::vector<double> factors_of(const MixDivision& division) {
  std::vector<double> factors;
  for (const MixAnswer& answer : division.models) factors.push_back(answer.factor);
  return factors;
}

bool better_division(const MixDivision& a, const MixDivision& b) {
  if (a.meets_slo != b.meets_slo) return a.meets_slo;
  return grows_further(factors_of(a), factors_of(b));
}

void settle(MixDivision& division) {
  division.meets_slo = true;
  for (std::size_t m = 0; m < division.models.size(); ++m) {
    const MixAnswer& answer = division.models[m];
    division.meets_slo = division.meets_slo && answer.meets_slo;
    if (answer.factor < division.models[division.tightest].factor) division.tightest = m;
  }
  division.factor = division.models[division.tightest].factor;
}

class MixSearch {
 public:
  MixSearch(const MixQuestion& question, const PlanOptions& options, const MixLimits& limits)
      : question_(question), options_(options), limits_(limits) {
    options_.find_profile = remembering(options.find_profile);
  }

  MixPlan run() {
    estimates_ = std::make_unique<MixEstimates>(question_, options_, limits_);
    std::vector<EstimatedDivision> left = estimates_->run();
    plan_.proof = estimates_->proof();
    try {
      simulate_promising(left);
    } catch (const Interrupted&) {
      if (simulated_.empty()) throw;
      plan_.interrupted = true;
    }
    rank();
    if (!plan_.best.meets_slo && !plan_.interrupted) none_keeps_all();
    plan_.reasons = explain_mix(question_, plan_);
    return std::move(plan_);
  }

 private:
  struct Simulated {
    std::size_t division = 0;
    std::vector<double> estimates;
    MixDivision result;
  };

  std::vector<int> sizes(std::size_t division) const {
    std::vector<int> result;
    for (const GpuShare& share : estimates_->division(division).shares)
      result.push_back(static_cast<int>(share.gpus.size()));
    return result;
  }

  /// Simulation over estimate of each model so far, in the geometric mean; 1 before any.
  std::vector<double> corrections() const {
    std::vector<double> result;
    for (std::size_t m = 0; m < question_.models.size(); ++m) {
      double sum = 0;
      int count = 0;
      for (const auto& [key, shared] : answers_[m]) {
        const MixAnswer& answer = shared.answer;
        if (answer.factor <= 0 || answer.estimate <= 0) continue;
        sum += std::log(answer.factor / answer.estimate);
        ++count;
      }
      result.push_back(count > 0 ? std::exp(sum / count) : 1);
    }
    return result;
  }

  /// The most promising division left, by the estimates corrected by what was simulated; of the same sizes a
  /// second one only when every size that may beat the best was tried. Nothing where nothing can.
  std::vector<EstimatedDivision>::iterator most_promising(std::vector<EstimatedDivision>& left) {
    const std::vector<double> correction = corrections();
    const auto predicted = [&](const EstimatedDivision& division) {
      std::vector<double> factors = division.factors;
      for (std::size_t m = 0; m < factors.size(); ++m) factors[m] *= correction[m];
      return factors;
    };
    std::set<std::vector<int>> tried;
    double best = 0;
    for (const Simulated& one : simulated_) {
      tried.insert(sizes(one.division));
      best = std::max(best, one.result.factor);
    }
    constexpr double estimates_err_by = 0.85;
    const auto hopeful = [&](const EstimatedDivision& division) {
      const std::vector<double> factors = predicted(division);
      return *std::min_element(factors.begin(), factors.end()) >= estimates_err_by * best;
    };
    auto chosen = left.end();
    for (const bool new_sizes : {true, false}) {
      for (auto it = left.begin(); it != left.end(); ++it) {
        if (new_sizes && tried.contains(sizes(it->division))) continue;
        if (!hopeful(*it)) continue;
        if (chosen == left.end() || grows_further(predicted(*it), predicted(*chosen))) chosen = it;
      }
      if (chosen != left.end()) break;
    }
    return chosen;
  }

  void simulate_promising(std::vector<EstimatedDivision>& left) {
    answers_.resize(question_.models.size());
    for (int done = 0; done < limits_.most_simulated; ++done) {
      if (options_.progress) options_.progress(done, limits_.most_simulated);
      const auto next = most_promising(left);
      if (next == left.end()) break;
      const EstimatedDivision division = *next;
      left.erase(next);
      simulate(division);
    }
    if (options_.progress) options_.progress(limits_.most_simulated, limits_.most_simulated);
  }

  void simulate(const EstimatedDivision& division) {
    if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
    const std::vector<GpuShare>& shares = estimates_->division(division.division).shares;
    std::vector<std::pair<std::size_t, SharedAnswer*>> tasks;
    for (std::size_t m = 0; m < shares.size(); ++m) {
      const auto [place, is_new] = answers_[m].try_emplace(shares[m].key);
      if (!is_new) continue;
      place->second.gpus = shares[m].gpus;
      tasks.emplace_back(m, &place->second);
    }
    try {
      run_parallel(static_cast<int>(tasks.size()), options_.threads, [&](int i) {
        const auto& [m, shared] = tasks[static_cast<std::size_t>(i)];
        shared->answer = answer_on_share(question_.models[m], shared->gpus, options_, limits_);
        shared->answer.estimate = division.factors[m];
      });
    } catch (const Interrupted&) {
      for (const auto& [m, shared] : tasks) answers_[m].erase(shares[m].key);
      throw;
    }
    Simulated one{division.division, division.factors, {}};
    for (std::size_t m = 0; m < shares.size(); ++m)
      one.result.models.push_back(answers_[m].at(shares[m].key).answer);
    settle(one.result);
    simulated_.push_back(std::move(one));
  }

  MixDivision whole(const Simulated& one, const PlanOptions& options, int kept) const {
    MixLimits limits = limits_;
    limits.layouts_kept = kept;
    MixDivision division;
    const std::vector<GpuShare>& shares = estimates_->division(one.division).shares;
    for (std::size_t m = 0; m < shares.size(); ++m) {
      const SharedAnswer& known = answers_[m].at(shares[m].key);
      division.models.push_back(
          full_answer(question_.models[m], known.answer, known.gpus, shares[m].gpus, options, limits));
    }
    settle(division);
    return division;
  }

  void rank() {
    std::stable_sort(simulated_.begin(), simulated_.end(), [](const Simulated& a, const Simulated& b) {
      return better_division(a.result, b.result);
    });
    plan_.proof.simulated = static_cast<std::int64_t>(simulated_.size());
    PlanOptions options = options_;
    if (plan_.interrupted) {
      options.stop = nullptr;
      options.intervals = false;
    }
    plan_.best = whole(simulated_.front(), options, limits_.layouts_kept);
    plan_.shared = shared_links(plan_.best);
    options.intervals = false;
    for (std::size_t i = 1; i < simulated_.size(); ++i)
      plan_.others.push_back(whole(simulated_[i], options, 1));
  }

  [[noreturn]] void none_keeps_all() const {
    std::string missed;
    const auto add = [&](const std::string& text) { missed += (missed.empty() ? "" : "; ") + text; };
    for (const MixAnswer& answer : plan_.best.models) {
      if (answer.meets_slo) continue;
      const std::string on = fmt::format("{} on {}", answer.model, answer.kinds);
      if (!answer.failure.empty()) {
        const std::string start = answer.scenario.name + ": ";
        add(on + ": " +
            (answer.failure.starts_with(start) ? answer.failure.substr(start.size()) : answer.failure));
        continue;
      }
      const Candidate& run = answer.plan.candidates.front();
      if (run.missed.empty())
        add(fmt::format("{}: {}", on,
                        run.startable ? "requests are rejected, or arrive faster than they are served"
                                      : "max_model_len tokens do not fit in its KV cache"));
      for (const std::string& text : run.missed) add(on + ": " + text);
    }
    throw InfeasibleError(fmt::format(
        "{}: no division of the GPUs that was simulated keeps every SLO; the nearest ({}) does not: {}; {}",
        question_.name, words(plan_.best), missed,
        plan_.best.factor > 0 ? fmt::format("at {:.2g} times the loads asked for all hold", plan_.best.factor)
                              : "none holds at any load that was tried"));
  }

  std::string words(const MixDivision& division) const {
    std::string text;
    for (const MixAnswer& answer : division.models)
      text += fmt::format("{}{} on {}", text.empty() ? "" : ", ", answer.model, answer.kinds);
    return text;
  }

  const MixQuestion& question_;
  PlanOptions options_;
  const MixLimits limits_;
  std::unique_ptr<MixEstimates> estimates_;
  std::vector<std::map<Key, SharedAnswer>> answers_;  // by model
  std::vector<Simulated> simulated_;
  MixPlan plan_;
};

}  // namespace

MixPlan plan_mix(const MixQuestion& question, const PlanOptions& options, const MixLimits& limits) {
  MixQuestion seeded = question;
  for (MixModel& model : seeded.models)
    for (Scenario* scenario : {&model.scenario, &model.growing}) {
      if (options.seed) scenario->workload.seed = *options.seed;
      load_trace(scenario->workload);
    }
  PlanOptions own = options;
  own.seed.reset();
  return MixSearch(seeded, own, limits).run();
}

}  // namespace sextant
