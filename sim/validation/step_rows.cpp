#include "sim/validation/step_rows.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>

#include "models/base/error.hpp"
#include "models/llm/catalogue.hpp"
#include "sim/planner/search.hpp"
#include "sim/validation/usual_node.hpp"

namespace sextant {
namespace {

constexpr double ms_per_second = 1e3;
/// A stage's costs are kept by token count: more than this in one pass would fill the memory.
constexpr std::int64_t most_tokens = 1 << 18;
constexpr std::int64_t most_cached_costs = 1 << 23;  // over all setups: half a gigabyte
constexpr int most_degree = 1 << 12;

/// A format by its own name, or the first that a GEMM type of that name computes with ("w4a16").
WeightFormat weights_named(const std::string& name) {
  if (name == "fp16") return weight_format("bf16");
  const std::vector<std::string> names = weight_format_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return weight_format(name);
  for (const std::string& format : names)
    if (weight_format(format).gemm_type == name) return weight_format(format);
  return weight_format(name);  // names the known ones
}

/// Every family at once at one end of its interval: a family's seconds are then what it takes alone there.
CostLevel all_at(double level) {
  CostLevel cost;
  cost.level.fill(level);
  return cost;
}

/// The microbatch of a row as a pass of a stage sees it.
struct Microbatch {
  explicit Microbatch(const StepRow& row) {
    shape.samples = row.batch;
    shape.duty = std::min(1.0, static_cast<double>(row.microbatches) / row.pp);
    if (row.phase == "decode") {
      shape.decodes = row.batch;
      shape.decode_context_sum = row.batch * (row.context + 1);  // the new token is cached before it is read
      tokens = row.batch;
    } else {
      chunks.assign(static_cast<std::size_t>(row.batch), {row.context, 0});
      shape.chunks = chunks;
      tokens = row.batch * row.context;
    }
  }
  Microbatch(const Microbatch&) = delete;
  Microbatch& operator=(const Microbatch&) = delete;

  std::vector<PrefillChunk> chunks;
  PassShape shape;
  std::int64_t tokens = 0;
};

WayRound way_round(const ReplicaModel& model, const Microbatch& microbatch) {
  WayRound way;
  const std::int64_t requests = microbatch.shape.samples;
  for (int s = 0; s < model.stages(); ++s) {
    way.passes.push_back(model.families(s, microbatch.shape));
    way.hops.push_back(model.hop(s, s + 1 < model.stages() ? microbatch.tokens : requests).seconds());
  }
  way.host = model.host(requests).seconds();
  return way;
}

void expect_possible(const StepRow& row) {
  if (row.phase == "prefill" && row.context < 1)
    throw InputError("a prefill of 0 tokens, expected at least 1");
  const std::int64_t per_sequence = row.phase == "prefill" ? row.context : 1;
  if (row.batch > most_tokens || per_sequence > most_tokens || row.batch * per_sequence > most_tokens)
    throw InputError(
        fmt::format("{} x {} tokens in one pass, expected at most {}", row.batch, per_sequence, most_tokens));
}

}  // namespace

struct StepRows::Setup {
  Scenario scenario;
  std::unique_ptr<Machine> machine;
  std::vector<ReplicaModel> models;       // nominal, every family slow, every family fast
  std::optional<ReplicaModel> untouched;  // nominal, as it was made
  std::int64_t largest_pass = 0;          // tokens
};

StepRows::StepRows(ProfileStore& profiles)
    : profiles_(profiles), structural_(shipped_assumptions().structural) {}

StepRows::~StepRows() = default;

StepRows::Setup& StepRows::setup(const StepRow& row, const std::string& gpu) {
  const std::string engine = row.engine.empty() ? "bare" : row.engine;
  const std::string key = fmt::format("{}|{}|{}|{}|{}|{}|{}|{}", gpu, row.model, row.weights, row.kv, row.tp,
                                      row.pp, row.ep, engine);
  const auto found = setups_.find(key);
  if (found != setups_.end()) return found->second;
  Setup made;
  made.scenario.model.architecture = find_model(row.model).architecture;
  made.scenario.model.weights = weights_named(row.weights);
  made.scenario.model.kv = kv_format(row.kv == "fp16" ? "bf16" : row.kv);
  if (row.tp > most_degree || row.pp > most_degree)
    throw InputError(fmt::format("tp {} x pp {}, expected fewer GPUs", row.tp, row.pp));
  // Above tp, attention runs in ep / tp data-parallel ranks, each with the row's batch.
  const bool shares = row.ep > row.tp && row.ep % row.tp == 0 && row.pp == 1 && row.ep <= most_degree;
  if (row.ep != 1 && row.ep != row.tp && !shares)
    throw InputError(fmt::format("ep {}, expected 1, tp, which is {}, or a multiple of it (of one stage)",
                                 row.ep, row.tp));
  const auto dp = shares ? row.ep / row.tp : 1;
  made.scenario.cluster = usual_node(gpu, row.tp * row.pp * dp);
  made.machine = std::make_unique<Machine>(made.scenario.cluster, engine, profiles_.finder());
  const Layout layout = fixed_layout(made.scenario, {row.tp, row.pp, dp, {}, {}, row.ep});
  for (const double level : {0.0, 1.0, -1.0})
    made.models.emplace_back(made.scenario.model, *made.machine, layout.replicas.front(),
                             layout.cut(layout.replicas.front()), all_at(level));
  made.untouched = made.models.front();
  return setups_.emplace(key, std::move(made)).first->second;
}

void StepRows::make_room(std::int64_t costs) {
  cached_costs_ += costs;
  if (cached_costs_ <= most_cached_costs) return;
  setups_.clear();
  cached_costs_ = costs;
}

Prediction StepRows::prediction(const std::array<WayRound, 3>& ways,
                                const std::function<double(const WayRound&)>& seconds) const {
  const auto& [nominal, slow, fast] = ways;
  const double value = seconds(nominal);
  double above = std::pow(value * (structural_.high - 1), 2),
         below = std::pow(value * (1 - structural_.low), 2);
  for (std::size_t f = 0; f < family_count; ++f) {
    const auto family = static_cast<Family>(f);
    above += std::pow(seconds(with_family(nominal, family, slow)) - value, 2);
    below += std::pow(value - seconds(with_family(nominal, family, fast)), 2);
  }
  Prediction result;
  result.value = value * ms_per_second;
  result.interval = PredictedInterval{std::max(0.0, value - std::sqrt(below)) * ms_per_second,
                                      (value + std::sqrt(above)) * ms_per_second};
  return result;
}

PredictedRound StepRows::predict(const StepRow& row, const std::string& gpu) {
  expect_possible(row);
  const Microbatch microbatch(row);
  {
    Setup& known = setup(row, gpu);
    const std::int64_t growth = std::max<std::int64_t>(0, microbatch.tokens - known.largest_pass);
    make_room(growth * known.models.front().stages() * static_cast<std::int64_t>(known.models.size()));
  }
  Setup& made = setup(row, gpu);
  made.largest_pass = std::max(made.largest_pass, microbatch.tokens);
  const std::array<WayRound, 3> ways = {way_round(made.models[0], microbatch),
                                        way_round(made.models[1], microbatch),
                                        way_round(made.models[2], microbatch)};
  const ReplicaModel& model = made.models.front();
  // A model remembers that any pass was outside; whether this one is, a new one tells.
  bool extrapolated = model.extrapolated();
  if (extrapolated) {
    const ReplicaModel fresh = *made.untouched;
    way_round(fresh, microbatch);
    extrapolated = fresh.extrapolated();
  }
  const auto graded = [&](Prediction prediction) {
    prediction.grade =
        row.engine.empty() ? model.grade() : weakest(model.grade(), made.machine->engine().step_us.grade);
    prediction.extrapolated = extrapolated;
    return prediction;
  };
  PredictedRound result;
  result.round =
      graded(prediction(ways, [&](const WayRound& way) { return round_seconds(way, row.microbatches); }));
  for (std::size_t s = 0; s < ways[0].passes.size(); ++s)
    result.stages.push_back(
        graded(prediction(ways, [s](const WayRound& way) { return way.passes[s].total(); })));
  return result;
}

}  // namespace sextant
