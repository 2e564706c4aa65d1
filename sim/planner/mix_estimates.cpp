#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "models/base/error.hpp"
#include "models/llm/memory.hpp"
#include "sim/planner/candidate.hpp"
#include "sim/planner/cluster_share.hpp"
#include "sim/planner/mix_parts.hpp"
#include "sim/planner/shared_experts_search.hpp"

namespace sextant {
namespace {

constexpr double GB = 1e9;
constexpr double infinity = std::numeric_limits<double>::infinity();

double weight_bytes(const Scenario& scenario) {
  const StageShape whole{{0, scenario.model.architecture.layer_count()}, 1, true, true};
  return stage_weights(scenario.model.architecture, scenario.model.weights, whole).layers;
}

/// The rejection that lacks least, in words.
std::string nearest_of(const std::vector<Rejection>& rejections) {
  const Rejection* nearest = nullptr;
  for (const Rejection& r : rejections)
    if (r.shortfall_bytes > 0 && (nearest == nullptr || r.shortfall_bytes < nearest->shortfall_bytes))
      nearest = &r;
  if (nearest != nullptr)
    return fmt::format("nearest is {}: {} ({:.1f} GB short on the worst GPU)", nearest->layout,
                       nearest->reason, nearest->shortfall_bytes / GB);
  return rejections.empty() ? "no layout is possible"
                            : rejections.front().layout + ": " + rejections.front().reason;
}

double best_throughput(const std::vector<EstimatedLayout>& layouts) {
  double best = 0;
  for (const EstimatedLayout& layout : layouts) best = std::max(best, layout.output_throughput);
  return best;
}

/// Output tokens/s that the load itself asks for: of an open loop what arrives, of a closed one what its
/// users draw where they have the whole cluster.
double asked_for(const MixModel& model, const PlanOptions& options, const SearchOptions& search) {
  const WorkloadSummary load = summarise_workload(model.scenario.workload);
  if (!model.closed) return model.load * load.output;
  double most = 0;
  for (const auto& choice : planned_choices(model.scenario, options))
    most = std::max(most, best_throughput(search_layouts(choice->context(), search).layouts));
  return most;
}

/// Two nodes cabled to each other can be exchanged, though each hangs on the other and not on the same.
void join_cabled_pair(const Cluster& cluster, std::vector<GpuPool>& pools) {
  const bool switched = std::any_of(cluster.devices.begin(), cluster.devices.end(), [](const Device& device) {
    return device.kind == DeviceKind::network_switch;
  });
  if (cluster.nodes.size() != 2 || switched || cluster.nodes[0].rack != cluster.nodes[1].rack) return;
  for (GpuPool& pool : pools) pool.attachment = 0;
}

}  // namespace

double EstimatedDivision::least() const {
  return *std::min_element(factors.begin(), factors.end());
}

bool grows_further(std::vector<double> a, std::vector<double> b) {
  constexpr double alike = 1.02;
  std::sort(a.begin(), a.end());
  std::sort(b.begin(), b.end());
  const auto grade = [](double factor) {
    return factor > 0 ? std::floor(std::log(factor) / std::log(alike)) : -infinity;
  };
  for (std::size_t i = 0; i < a.size(); ++i)
    if (grade(a[i]) != grade(b[i])) return grade(a[i]) > grade(b[i]);
  for (std::size_t i = 0; i < a.size(); ++i)
    if (a[i] != b[i]) return a[i] > b[i];
  return false;
}

MixModelEstimator::MixModelEstimator(const MixModel& model, const PlanOptions& options, SearchOptions search)
    : model_(model), search_(search), choices_(planned_choices(model.growing, options)) {
  const std::vector<int> gpus = model.scenario.cluster.gpus();
  least_weight_bytes_ = infinity;
  std::string nearest;
  double alone = 0;
  for (const auto& choice : choices_) {
    const SearchContext& context = choice->context();
    least_weight_bytes_ = std::min(least_weight_bytes_, weight_bytes(context.scenario));
    most_utilisation_ = std::max(most_utilisation_, context.scenario.engine.gpu_memory_utilization);
    const double yield = context.scenario.engine.expected_tokens();
    for (const bool divided : {false, true}) {
      if (divided && expert_degrees(context.scenario.model, 2).size() < 2) continue;
      CostTables tables(context, divided);
      const GpuSpeeds speeds(tables, tables.most_running(1));
      for (const int gpu : gpus) {
        double& speed = speeds_[gpu];
        speed = std::max(speed, yield * speeds.of(gpu));
      }
    }
    for (const auto& [gpu, speed] : sharing_speeds(context)) speeds_[gpu] = std::max(speeds_[gpu], speed);
    const SearchResult found = search_layouts(context, search_);
    if (nearest.empty() && found.layouts.empty()) nearest = nearest_of(found.rejections);
    alone = std::max(alone, best_throughput(found.layouts));
  }
  if (alone <= 0)
    throw InfeasibleError(fmt::format("{}: no layout fits, even with the whole cluster for it alone; {}",
                                      model.scenario.name, nearest));
  load_ = asked_for(model, options, search_);
}

double MixModelEstimator::bound(const std::vector<int>& gpus) const {
  double room = 0, speed = 0;
  for (const int gpu : gpus) {
    room += model_.scenario.cluster.gpu(gpu).memory_bytes.value;
    speed += speeds_.at(gpu);
  }
  return least_weight_bytes_ <= room * most_utilisation_ ? speed / load_ : 0;
}

ShareEstimate MixModelEstimator::estimate(const GpuShare& share) const {
  ShareEstimate result;
  for (const auto& choice : choices_) {
    const SearchContext& whole = choice->context();
    Scenario scenario = whole.scenario;
    scenario.cluster = cluster_share(scenario.cluster, share.gpus);
    const SearchContext context{scenario, whole.machine, whole.workload};
    const SearchResult found = search_layouts(context, search_);
    result.complete = result.complete && found.proof.complete;
    result.factor = std::max(result.factor, best_throughput(found.layouts) / load_);
    if (result.nearest.empty() && found.layouts.empty()) result.nearest = nearest_of(found.rejections);
  }
  return result;
}

std::string MixModelEstimator::weights_text() const {
  return fmt::format("{:.1f} GB of weights", least_weight_bytes_ / GB);
}

MixEstimates::MixEstimates(const MixQuestion& question, const PlanOptions& options, const MixLimits& limits)
    : question_(question), options_(options), shares_(question.models.size()) {
  SearchOptions search;
  search.stop = options.stop;
  // Layouts by the rules of placement and split alone, where there are many shares of many GPUs: what is
  // simulated is searched in full.
  constexpr std::size_t settled_in_full = 8;
  search.prove = question.models.front().scenario.cluster.gpus().size() <= settled_in_full;
  for (const MixModel& model : question.models)
    models_.push_back(std::make_unique<MixModelEstimator>(model, options, search));
  const Cluster& cluster = question.models.front().scenario.cluster;
  pools_ = gpu_pools(cluster, Sites(Topology(cluster)));
  join_cabled_pair(cluster, pools_);
  divisions_ = gpu_divisions(pools_, question.models.size(), static_cast<std::size_t>(limits.most_divided));
  proof_.divisions = static_cast<std::int64_t>(divisions_.all.size());
  proof_.every_division = divisions_.complete;
}

std::size_t MixEstimates::most_estimated() const {
  // In large clusters a share costs more to search, and there are more of them.
  const std::size_t gpus = question_.models.front().scenario.cluster.gpus().size();
  return gpus <= 8 ? 100'000 : gpus <= 64 ? 64 : 16;
}

std::vector<MixEstimates::Bounded> MixEstimates::bounded() {
  const Cluster& cluster = question_.models.front().scenario.cluster;
  std::map<std::vector<std::map<std::string, int>>, std::vector<std::pair<int, std::size_t>>> by_sizes;
  std::vector<Bounded> result;
  for (std::size_t d = 0; d < divisions_.all.size(); ++d) {
    const GpuDivision& division = divisions_.all[d];
    Bounded one{d, infinity, 0};
    for (std::size_t m = 0; m < models_.size(); ++m)
      one.bound = std::min(one.bound, models_[m]->bound(division.shares[m].gpus));
    proof_.bound = std::max(proof_.bound, one.bound);
    // Shares of the same sizes: as many GPUs of each kind, wherever they stand.
    std::vector<std::map<std::string, int>> sizes(models_.size());
    for (std::size_t m = 0; m < models_.size(); ++m)
      for (std::size_t p = 0; p < pools_.size(); ++p)
        if (division.counts[m][p] > 0)
          sizes[m][cluster.kind(pools_[p].gpus.front())] += division.counts[m][p];
    by_sizes[sizes].emplace_back(spread(pools_, division), result.size());
    result.push_back(one);
  }
  for (auto& [sizes, own] : by_sizes) {
    std::stable_sort(own.begin(), own.end());
    for (std::size_t i = 0; i < own.size(); ++i) result[own[i].second].rank = static_cast<int>(i);
  }
  std::stable_sort(result.begin(), result.end(), [](const Bounded& a, const Bounded& b) {
    return a.rank != b.rank ? a.rank < b.rank : a.bound > b.bound;
  });
  return result;
}

double MixEstimates::known(std::size_t model, const GpuShare& share) const {
  return shares_[model].at(share.key).factor;
}

/// Estimates the shares of the divisions that were not estimated before, on all threads.
void MixEstimates::estimate_all(const std::vector<std::size_t>& divisions) {
  struct Task {
    std::size_t model;
    const GpuShare* share;
    ShareEstimate* result;
  };
  std::vector<Task> tasks;
  for (const std::size_t d : divisions)
    for (std::size_t m = 0; m < models_.size(); ++m) {
      const GpuShare& share = divisions_.all[d].shares[m];
      const auto [place, is_new] = shares_[m].try_emplace(share.key);
      if (is_new) tasks.push_back({m, &share, &place->second});
    }
  run_parallel(static_cast<int>(tasks.size()), options_.threads, [&](int i) {
    const Task& task = tasks[static_cast<std::size_t>(i)];
    *task.result = models_[task.model]->estimate(*task.share);
  });
}

std::vector<EstimatedDivision> MixEstimates::run() {
  constexpr std::size_t wave = 4, worth_a_choice = 8;
  std::vector<EstimatedDivision> found;
  double best = 0;
  std::size_t estimated = 0;
  const std::vector<Bounded> all = bounded();
  std::vector<std::size_t> next;
  const auto settle = [&] {
    estimate_all(next);
    for (const std::size_t d : next) {
      EstimatedDivision division{d, {}};
      for (std::size_t m = 0; m < models_.size(); ++m) {
        division.factors.push_back(known(m, divisions_.all[d].shares[m]));
        proof_.complete = proof_.complete && shares_[m].at(divisions_.all[d].shares[m].key).complete;
      }
      best = std::max(best, division.least());
      if (division.least() > 0) found.push_back(std::move(division));
    }
    estimated += next.size();
    next.clear();
  };
  for (const Bounded& one : all) {
    if (options_.stop != nullptr && options_.stop->load()) throw Interrupted();
    if (one.bound <= 0) {
      ++proof_.pruned["memory"];
    } else if (one.bound < best && found.size() >= worth_a_choice) {
      ++proof_.pruned["roofline"];
    } else if (estimated + next.size() >= most_estimated()) {
      if (one.bound >= best) proof_.complete = false;
    } else {
      next.push_back(one.division);
      if (next.size() == wave) settle();
    }
  }
  settle();
  proof_.estimated = static_cast<std::int64_t>(estimated);
  proof_.best_estimate = best;
  if (found.empty()) none_holds_all();
  std::stable_sort(found.begin(), found.end(), [](const EstimatedDivision& a, const EstimatedDivision& b) {
    return grows_further(a.factors, b.factors);
  });
  return found;
}

/// The smallest share that holds each model says by how much the cluster is too small.
void MixEstimates::none_holds_all() {
  std::string needs;
  for (std::size_t m = 0; m < models_.size(); ++m) {
    std::map<std::vector<std::vector<int>>, const GpuShare*> by_key;
    for (const GpuDivision& division : divisions_.all)
      by_key.emplace(division.shares[m].key, &division.shares[m]);
    std::vector<const GpuShare*> shares;
    for (const auto& [key, share] : by_key) shares.push_back(share);
    std::stable_sort(shares.begin(), shares.end(),
                     [](const GpuShare* a, const GpuShare* b) { return a->gpus.size() < b->gpus.size(); });
    std::size_t fewest = 0;
    for (const GpuShare* share : shares) {
      if (models_[m]->bound(share->gpus) <= 0) continue;
      const auto [place, is_new] = shares_[m].try_emplace(share->key);
      if (is_new) place->second = models_[m]->estimate(*share);
      if (place->second.factor <= 0) continue;
      fewest = share->gpus.size();
      break;
    }
    const std::string least = fewest > 0 ? fmt::format("at least {}", fewest) : "all of them";
    needs += fmt::format("{}{} ({}) needs {}", needs.empty() ? "" : ", ", models_[m]->model().name,
                         models_[m]->weights_text(), least);
  }
  throw InfeasibleError(fmt::format("{}: no division of the {} GPUs holds every model: {}", question_.name,
                                    question_.models.front().scenario.cluster.gpus().size(), needs));
}

}  // namespace sextant
