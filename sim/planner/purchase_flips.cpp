#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <tuple>

#include "models/base/error.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

/// One input that may move, as a factor on what it is.
struct MovedInput {
  std::string name;
  double base = 0;
  double lowest = 1, highest = 1;  ///< factors
  bool simulated = false;
  /// Changes the question; for inputs that add up.
  std::function<void(PurchaseQuestion&, double factor)> move;
  /// Changes a model's scenario, and the profile of a card; for inputs that are simulated.
  std::function<void(Scenario&, double factor)> move_scenario;
  std::string slower_card;    ///< whose memory rate the factor multiplies
  bool whole_number = false;  ///< base times factor is rounded
};

void scale(LengthDistribution& lengths, double factor) {
  const auto scaled = [&](std::int64_t tokens) {
    return std::max<std::int64_t>(1, std::llround(static_cast<double>(tokens) * factor));
  };
  lengths.mean *= factor;
  lengths.low = scaled(lengths.low);
  lengths.high = scaled(lengths.high);
  if (lengths.kind == LengthDistribution::Kind::fixed)
    lengths.mean = static_cast<double>(scaled(std::llround(lengths.mean)));
}

std::vector<MovedInput> price_inputs(const PurchaseQuestion& question, const PlannedPurchase& best,
                                     const PlannedPurchase& alternative) {
  constexpr double most = 4;
  std::vector<MovedInput> inputs;
  std::set<std::string> seen;
  const auto add = [&](const std::string& part, double usd) {
    if (usd <= 0 || !seen.insert(part).second) return;
    const auto move = [part](PurchaseQuestion& q, double factor) {
      for (ChassisOffer& offer : q.chassis)
        if (offer.name == part) offer.price.usd *= factor;
      for (GpuOffer& offer : q.gpus)
        if (offer.gpu->name == part) offer.price.usd *= factor;
      for (NicOffer& offer : q.nics)
        if (offer.nic->name == part) offer.price.usd *= factor;
      for (SwitchOffer& offer : q.switches)
        if (offer.type->name == part) offer.price.usd *= factor;
    };
    inputs.push_back({fmt::format("price of {} (USD)", part), usd, 1 / most, most, false, move, {}, {}});
  };
  for (const PlannedPurchase* planned : {&best, &alternative})
    for (const BillLine& line : bill_of(question, planned->purchase))
      add(line.part.substr(0, line.part.find(" at ")), line.usd_each);
  inputs.push_back({"money to spend (USD)",
                    question.bounds.usd,
                    1 / most,
                    1,
                    false,
                    [](PurchaseQuestion& q, double factor) { q.bounds.usd *= factor; },
                    {},
                    {}});
  if (question.bounds.watts)
    inputs.push_back({"power allowed (W at the wall)",
                      *question.bounds.watts,
                      1 / most,
                      1,
                      false,
                      [](PurchaseQuestion& q, double factor) { *q.bounds.watts *= factor; },
                      {},
                      {}});
  if (question.economics && question.economics->electricity_usd_per_kwh > 0)
    inputs.push_back(
        {"electricity (USD/kWh)",
         question.economics->electricity_usd_per_kwh,
         0.1,
         10,
         false,
         [](PurchaseQuestion& q, double factor) { q.economics->electricity_usd_per_kwh *= factor; },
         {},
         {}});
  return inputs;
}

std::vector<MovedInput> load_inputs(const PurchaseQuestion& question, const PlannedPurchase& best) {
  std::vector<MovedInput> inputs;
  const Workload& workload = best.models.front().scenario.workload;
  if (workload.arrival == Workload::Arrival::concurrency)
    inputs.push_back({"requests at once",
                      static_cast<double>(workload.max_concurrency),
                      1.0 / 8,
                      8,
                      true,
                      {},
                      [](Scenario& s, double factor) {
                        s.workload.max_concurrency = std::max<std::int64_t>(
                            1, std::llround(static_cast<double>(s.workload.max_concurrency) * factor));
                        s.workload.num_prompts =
                            std::max(s.workload.num_prompts, 4 * s.workload.max_concurrency);
                      },
                      {},
                      true});
  else if (workload.rate_stages.empty() && !workload.ramp_up && std::isfinite(workload.request_rate) &&
           workload.arrival != Workload::Arrival::trace)
    inputs.push_back({"requests/s",
                      workload.request_rate,
                      1.0 / 8,
                      8,
                      true,
                      {},
                      [](Scenario& s, double factor) { s.workload.request_rate *= factor; },
                      {}});
  if (workload.trace.empty() && !workload.lengths && !workload.conversations)
    inputs.push_back({"mean prompt (tokens)",
                      workload.prompt.mean,
                      0.25,
                      4,
                      true,
                      {},
                      [](Scenario& s, double factor) { scale(s.workload.prompt, factor); },
                      {}});
  for (const auto& [card, unused] : gpus_of(question, best.purchase))
    if (const auto& rate = find_gpu(card).memory_gbps)
      inputs.push_back(
          {fmt::format("memory rate of {} (GB/s)", card), rate->value, 0.7, 1, true, {}, {}, card});
  return inputs;
}

/// The purchase under a changed question: prices, bounds and running costs added up again.
PlannedPurchase added_up_again(const PurchaseQuestion& moved, PlannedPurchase planned) {
  planned.totals = totals_of(moved, planned.purchase);
  planned.within_bounds = planned.totals.usd <= moved.bounds.usd &&
                          (!moved.bounds.watts || planned.totals.peak_watts <= *moved.bounds.watts);
  settle(moved, planned);
  return planned;
}

GpuProfileFinder slowed(const GpuProfileFinder& find, const std::string& card, double factor) {
  return [&find, card, factor](const std::string& gpu) {
    GpuProfile profile = find(gpu);
    if (gpu == card)
      for_each_model(profile,
                     [&](const ModelName&, OperatorModel& model) { model.roofline.memory_gbps *= factor; });
    return profile;
  };
}

bool serves(const Candidate& best) {
  return best.meets_slo && best.startable && best.metrics.rejected == 0;
}

/// The layouts that were kept; where they are searched afresh, also the best by estimate of other degrees.
std::vector<EstimatedLayout> layouts_tried(const SearchContext& context, const ModelAnswer& answer,
                                           bool afresh) {
  constexpr std::size_t most_new = 4;
  std::vector<EstimatedLayout> layouts;
  std::set<std::array<int, 4>> degrees;
  for (const Candidate& kept : answer.candidates) {
    layouts.push_back(estimate(context, kept.layout));
    degrees.insert({kept.layout.tp, kept.layout.pp, kept.layout.dp, kept.layout.ep});
  }
  if (!afresh) return layouts;
  SearchOptions search;
  search.prove = false;
  const std::size_t most = layouts.size() + most_new;
  for (EstimatedLayout& found : search_layouts(context, search).layouts)
    if (layouts.size() < most &&
        degrees.insert({found.layout.tp, found.layout.pp, found.layout.dp, found.layout.ep}).second)
      layouts.push_back(std::move(found));
  return layouts;
}

/// The purchase simulated again.
PlannedPurchase simulated_again(const PurchaseQuestion& question, const MovedInput& input, double factor,
                                bool afresh, PlannedPurchase planned, const PlanOptions& options) {
  const GpuProfileFinder find = input.slower_card.empty()
                                    ? options.find_profile
                                    : slowed(options.find_profile, input.slower_card, factor);
  for (ModelAnswer& answer : planned.models) {
    // One model that misses its SLO is enough to know that the purchase does: the others stay as they were.
    if (&answer != &planned.models.front() && !serves((&answer)[-1].best())) break;
    if (input.move_scenario) input.move_scenario(answer.scenario, factor);
    const Machine machine(answer.scenario.cluster, answer.scenario.engine.profile, find);
    const SearchContext context{answer.scenario, machine, summarise_workload(answer.scenario.workload)};
    const std::vector<EstimatedLayout> layouts = layouts_tried(context, answer, afresh);
    std::vector<Candidate> again(layouts.size());
    run_parallel(static_cast<int>(again.size()), options.threads, [&](int i) {
      const auto at = static_cast<std::size_t>(i);
      again[at] = simulate_candidate(context, layouts[at], options);
    });
    std::stable_sort(again.begin(), again.end(), ranks_before);
    answer.candidates = std::move(again);
  }
  settle(question, planned);
  return planned;
}

/// Purchases simulated under moved inputs: the best against several alternatives, and loads that round to
/// the same number of requests, once. For several threads.
class MovedRuns {
 public:
  MovedRuns(const PurchaseQuestion& question, const PlanOptions& options)
      : question_(question), options_(options) {
    options_.threads = 1;
  }

  PlannedPurchase run(const MovedInput& input, double factor, bool afresh, const PlannedPurchase& planned) {
    const double value = input.whole_number ? std::max(1.0, std::round(input.base * factor)) : factor;
    const auto key = std::tuple(&planned, input.name, value, afresh);
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = known_.find(key); found != known_.end()) return found->second;
    }
    PlannedPurchase result = simulated_again(question_, input, factor, afresh, planned, options_);
    result.models.clear();  // what they add up to is enough to compare
    const std::lock_guard lock(mutex_);
    return known_.try_emplace(key, std::move(result)).first->second;
  }

 private:
  const PurchaseQuestion& question_;
  PlanOptions options_;
  std::mutex mutex_;
  std::map<std::tuple<const PlannedPurchase*, std::string, double, bool>, PlannedPurchase> known_;
};

/// Looks for the factor at which the alternative becomes the better buy: on a few points away from 1, then by
/// bisection between the first that flips and the one before it; all on the layouts that were kept. What they
/// say counts where layouts searched afresh say it too.
class FlipSearch {
 public:
  FlipSearch(const PurchaseQuestion& question, const PlannedPurchase& best,
             const PlannedPurchase& alternative, const PlanOptions& options, MovedRuns& runs)
      : question_(question), best_(best), alternative_(alternative), options_(options), runs_(runs) {}

  Flip find(const MovedInput& input) const {
    Flip flip{input.name,     input.base, std::nullopt, input.base * input.lowest, input.base * input.highest,
              input.simulated};
    std::optional<double> up, down;
    if (input.highest > 1) up = confirmed(input, towards(input, input.highest));
    if (input.lowest < 1) down = confirmed(input, towards(input, input.lowest));
    // The nearer one, by ratio.
    if (up && (!down || *up <= 1 / *down))
      flip.at = input.base * *up;
    else if (down)
      flip.at = input.base * *down;
    if (flip.at && input.whole_number) flip.at = std::max(1.0, std::round(*flip.at));
    return flip;
  }

 private:
  static constexpr int points = 4, halvings = 6, exact_points = 16, exact_halvings = 20;

  std::optional<double> confirmed(const MovedInput& input, std::optional<double> factor) const {
    if (factor && input.simulated && !flips(input, *factor, true)) factor.reset();
    return factor;
  }

  bool flips(const MovedInput& input, double factor, bool afresh = false) const {
    if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
    PlannedPurchase a, b;
    if (input.simulated) {
      a = runs_.run(input, factor, afresh, alternative_);
      if (!a.meets_slo) return false;
      b = runs_.run(input, factor, afresh, best_);
    } else {
      PurchaseQuestion moved = question_;
      input.move(moved, factor);
      a = added_up_again(moved, alternative_);
      b = added_up_again(moved, best_);
    }
    return a.meets_slo && a.within_bounds && better_buy(question_.prefer, a, b);
  }

  std::optional<double> towards(const MovedInput& input, double end) const {
    const int steps = input.simulated ? points : exact_points;
    double before = 1;
    for (int i = 1; i <= steps; ++i) {
      const double factor = std::pow(end, static_cast<double>(i) / steps);
      if (!flips(input, factor)) {
        before = factor;
        continue;
      }
      double after = factor;
      for (int h = 0; h < (input.simulated ? halvings : exact_halvings); ++h) {
        const double middle = std::sqrt(before * after);
        (flips(input, middle) ? after : before) = middle;
      }
      return after;
    }
    return std::nullopt;
  }

  const PurchaseQuestion& question_;
  const PlannedPurchase &best_, &alternative_;
  const PlanOptions& options_;
  MovedRuns& runs_;
};

/// One input that may flip the choice towards one alternative.
struct FlipTask {
  std::size_t alternative = 0;
  MovedInput input;
  Flip flip;
};

}  // namespace

void find_flips(const PurchaseQuestion& question, PurchasePlan& plan, const PlanOptions& options) {
  std::vector<FlipTask> tasks;
  for (std::size_t a = 0; a < plan.alternatives.size(); ++a) {
    for (MovedInput& input : price_inputs(question, plan.best, plan.alternatives[a].planned))
      tasks.push_back({a, std::move(input), {}});
    for (MovedInput& input : load_inputs(question, plan.best)) tasks.push_back({a, std::move(input), {}});
  }
  MovedRuns runs(question, options);
  run_parallel(static_cast<int>(tasks.size()), options.threads, [&](int i) {
    FlipTask& task = tasks[static_cast<std::size_t>(i)];
    const PlannedPurchase& alternative = plan.alternatives[task.alternative].planned;
    task.flip = FlipSearch(question, plan.best, alternative, options, runs).find(task.input);
  });
  for (FlipTask& task : tasks) plan.alternatives[task.alternative].flips.push_back(std::move(task.flip));
  // The least move first; what does not flip last.
  const auto distance = [](const Flip& f) {
    return f.at ? std::abs(std::log(*f.at / f.base)) : std::numeric_limits<double>::infinity();
  };
  for (PurchaseAlternative& alternative : plan.alternatives)
    std::stable_sort(alternative.flips.begin(), alternative.flips.end(),
                     [&](const Flip& f, const Flip& g) { return distance(f) < distance(g); });
}

}  // namespace sextant
