#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "models/base/error.hpp"
#include "models/cost/cost.hpp"
#include "models/cost/group_curve.hpp"
#include "models/cost/latent_attention.hpp"
#include "models/cost/operator_time.hpp"
#include "models/cost/sampler_time.hpp"
#include "models/cost/state_space.hpp"
#include "models/profile/numeric_type.hpp"

namespace sextant {
namespace {

/// One attention shape of the stage with what its layers need at every pass.
struct StageAttention {
  AttentionShape shape;
  double count = 1;
  double kv_element_bytes = 2;
  const OperatorModel* prefill = nullptr;  // both live in the profile
  const OperatorModel* decode = nullptr;
  const WorkLoad* prefill_load = nullptr;  // null: not known
  const WorkLoad* decode_load = nullptr;
  double prefill_factor = 1;
  double decode_factor = 1;
};

/// One latent attention shape of the stage, its models in the profile.
struct StageLatent {
  LatentAttentionShape shape;
  double count = 1;
  double kv_element_bytes = 2;
  const OperatorModel* prefill = nullptr;
  const OperatorModel* decode = nullptr;
};

/// The scans of a stage; their models come from a rule.
struct StageScan {
  StateSpaceShape shape;
  double count = 1;
};

/// Rows that one of the experts gets on average.
double expert_tokens(const MoeShape& shape, double tokens) {
  return tokens * static_cast<double>(shape.topk) / static_cast<double>(shape.experts);
}

}  // namespace

std::string to_string(Family family) {
  constexpr std::array names = {"gemm",        "moe",        "attention_prefill", "attention_decode",
                                "elementwise", "collective", "point_to_point",    "host",
                                "state_space"};
  static_assert(names.size() == family_count);
  return names[static_cast<std::size_t>(family)];
}

CostLevel CostLevel::only(Family family, double level) {
  CostLevel result;
  result.level[static_cast<std::size_t>(family)] = level;
  return result;
}

double spread_factor(const Spread& spread, double level) {
  if (level == 0) return 1;
  return level > 0 ? std::pow(spread.high, level) : std::pow(spread.low, -level);
}

struct StageCost::Inputs {
  StageOperators operators;
  std::shared_ptr<const GpuProfile> profile;
  std::optional<LinkProfile> link;
  std::optional<LinkProfile> sharing_link;
  int tensor_parallel = 1;
  std::int64_t sharing_ranks = 1;  ///< that have one set of experts
  CostLevel level;
  std::vector<StageAttention> attentions;
  std::vector<StageLatent> latents;
  std::vector<StageScan> scans;
  RoutingRule routing;
  OperatorModel scan_prefill, scan_decode;
  std::shared_ptr<const SamplerWork> sampler;

  const WorkLoad* load_of(const std::string& work) const {
    if (!profile->load) return nullptr;
    const auto known = profile->load->works.find(work);
    return known == profile->load->works.end() ? nullptr : &known->second;
  }

  /// An operator of a pass, among others of its kind, with what it draws. Work that nobody watched is taken
  /// to draw what the limit allows and not to mind the clock.
  OperatorTime in_pass(OperatorTime time, const WorkLoad* load, double tokens) const {
    time.seconds = (time.seconds - time.alone_seconds) * time.in_passes;
    if (load != nullptr)
      time.draw = draw_of(*load, tokens);
    else if (profile->load)
      time.draw = {profile->load->limit_watts, 0};
    return time;
  }

  /// In a pass its ranks also wait for the last of them to arrive.
  OperatorTime collective(const CollectiveShape& shape, int ranks, double tokens) const {
    const LinkProfile& joining = shape.ranks > 0 ? *sharing_link : *link;
    OperatorTime time = collective_time(joining, shape.op, ranks, shape.bytes_per_token * tokens);
    if (joining.rank_wait_us) time.seconds += joining.rank_wait_us->value * 1e-6;
    return time;
  }

  OperatorTime experts(const MoeShape& shape, double tokens) const {
    return in_pass(shape.expert_parallel > 1 ? divided_moe_time(*profile, shape, tokens, routing)
                                             : moe_time(*profile, shape, tokens),
                   load_of("moe/" + shape.type), expert_tokens(shape, tokens));
  }

  double factor(const OperatorModel& model, Family family) const {
    return spread_factor(model.spread, level.of(family));
  }
};

// visit(family, time, count): `count` operators of that kind in one pass.
template <class Visit>
void StageCost::visit_dense(std::int64_t tokens, Visit&& visit) const {
  const auto m = static_cast<double>(tokens);
  const StageOperators& operators = inputs_->operators;
  for (const auto& [shape, count] : operators.gemms)
    visit(Family::gemm,
          inputs_->in_pass(gemm_time(*inputs_->profile, shape.type, m, static_cast<double>(shape.n),
                                     static_cast<double>(shape.k)),
                           inputs_->load_of("gemm/" + shape.type), m),
          count);
  if (inputs_->sharing_ranks == 1)
    for (const auto& [shape, count] : operators.moes) visit(Family::moe, inputs_->experts(shape, m), count);
  for (const auto& [shape, count] : operators.elementwise)
    visit(Family::elementwise,
          inputs_->in_pass(elementwise_time(*inputs_->profile, shape, m), inputs_->load_of("elementwise"), m),
          count);
  if (inputs_->tensor_parallel <= 1) return;
  for (const auto& [shape, count] : operators.collectives)
    if (shape.ranks == 0)
      visit(Family::collective,
            inputs_->in_pass(inputs_->collective(shape, inputs_->tensor_parallel, m),
                             inputs_->load_of("collective"), m),
            count);
}

template <class Visit>
void StageCost::visit_shared(std::int64_t tokens, Visit&& visit) const {
  if (inputs_->sharing_ranks == 1) return;
  const auto m = static_cast<double>(tokens);
  for (const auto& [shape, count] : inputs_->operators.moes)
    visit(Family::moe, inputs_->experts(shape, m), count);
  for (const auto& [shape, count] : inputs_->operators.collectives)
    if (shape.ranks > 0)
      visit(Family::collective,
            inputs_->in_pass(inputs_->collective(shape, static_cast<int>(shape.ranks), m),
                             inputs_->load_of("collective"), m),
            count);
}

template <class Visit>
void StageCost::visit_sampling(std::int64_t samples, Visit&& visit) const {
  const auto m = static_cast<double>(samples);
  const StageOperators& operators = inputs_->operators;
  for (const auto& [shape, count] : operators.sample_gemms)
    visit(Family::gemm,
          inputs_->in_pass(gemm_time(*inputs_->profile, shape.type, m, static_cast<double>(shape.n),
                                     static_cast<double>(shape.k)),
                           inputs_->load_of("gemm/" + shape.type), m),
          count);
  for (const auto& [shape, count] : operators.sample_elementwise)
    visit(Family::elementwise,
          inputs_->in_pass(elementwise_time(*inputs_->profile, shape, m), inputs_->load_of("elementwise"), m),
          count);
  if (inputs_->sampler)
    visit(Family::elementwise,
          inputs_->in_pass(sampler_time(*inputs_->sampler, *inputs_->profile, samples),
                           inputs_->load_of("elementwise"), m),
          1);
  if (inputs_->tensor_parallel <= 1) return;
  for (const auto& [shape, count] : operators.sample_collectives)
    visit(Family::collective,
          inputs_->in_pass(inputs_->collective(shape, inputs_->tensor_parallel, m),
                           inputs_->load_of("collective"), m),
          count);
}

// visit(family, time, count, factor): the factor of the cost level is known beforehand here.
template <class Visit>
void StageCost::visit_attention(const PassShape& pass, Visit&& visit) const {
  double chunk_tokens = 0;
  for (const PrefillChunk& chunk : pass.chunks) chunk_tokens += static_cast<double>(chunk.new_tokens);
  const double mean_context =
      pass.decodes > 0 ? static_cast<double>(pass.decode_context_sum) / static_cast<double>(pass.decodes) : 0;
  for (const StageAttention& attention : inputs_->attentions) {
    if (!pass.chunks.empty())
      visit(Family::attention_prefill,
            inputs_->in_pass(attention_prefill_time(*attention.prefill, attention.shape,
                                                    attention.kv_element_bytes, pass.chunks),
                             attention.prefill_load, chunk_tokens),
            attention.count, attention.prefill_factor);
    if (pass.decodes == 0) continue;
    OperatorTime time = attention_decode_time(
        *attention.decode, attention.shape, attention.kv_element_bytes, static_cast<double>(pass.decodes),
        static_cast<double>(pass.decode_context_sum), static_cast<double>(pass.tokens_per_decode));
    if (!pass.chunks.empty() && pass.mixed_tile.rows > 0)
      time.seconds = std::max(time.seconds, attention_tiles_seconds(*attention.prefill, attention.shape,
                                                                    attention.kv_element_bytes, pass));
    time = inputs_->in_pass(time, attention.decode_load, mean_context);
    visit(Family::attention_decode, time, attention.count, attention.decode_factor);
  }
  for (const StageLatent& latent : inputs_->latents) {
    if (!pass.chunks.empty())
      visit(Family::attention_prefill,
            inputs_->in_pass(
                latent_prefill_time(*latent.prefill, latent.shape, latent.kv_element_bytes, pass.chunks),
                inputs_->load_of("latent_prefill"), chunk_tokens),
            latent.count, inputs_->factor(*latent.prefill, Family::attention_prefill));
    if (pass.decodes <= 0) continue;
    OperatorTime decode = latent_decode_time(
        *latent.decode, latent.shape, latent.kv_element_bytes, static_cast<double>(pass.decodes),
        static_cast<double>(pass.decode_context_sum), static_cast<double>(pass.tokens_per_decode));
    if (!pass.chunks.empty())
      decode.seconds =
          std::max(0.0, decode.seconds - shared_projection_seconds(*latent.decode, latent.shape));
    decode = inputs_->in_pass(decode, inputs_->load_of("latent_decode"), mean_context);
    visit(Family::attention_decode, decode, latent.count,
          inputs_->factor(*latent.decode, Family::attention_decode));
  }
  for (const StageScan& scan : inputs_->scans) {
    if (!pass.chunks.empty())
      visit(Family::state_space,
            inputs_->in_pass(
                operator_time(inputs_->scan_prefill, state_space_prefill_work(scan.shape, pass.chunks)),
                inputs_->load_of("state_space"), chunk_tokens),
            scan.count, inputs_->factor(inputs_->scan_prefill, Family::state_space));
    if (pass.decodes > 0)
      visit(Family::state_space,
            inputs_->in_pass(
                operator_time(inputs_->scan_decode,
                              state_space_decode_work(
                                  scan.shape, static_cast<double>(pass.decodes * pass.tokens_per_decode))),
                inputs_->load_of("state_space"), mean_context),
            scan.count, inputs_->factor(inputs_->scan_decode, Family::state_space));
  }
}

StageCost::StageCost(const StageOperators& operators, std::shared_ptr<const GpuProfile> profile,
                     const LinkProfile* link, int tensor_parallel, CostLevel level,
                     std::shared_ptr<const SamplerWork> sampler, const LinkProfile* sharing_link) {
  auto inputs = std::make_shared<Inputs>();
  inputs->operators = operators;
  if (!operators.sample_gemms.empty()) inputs->sampler = std::move(sampler);
  inputs->profile = std::move(profile);
  if (link) inputs->link = with_group_curves(*link, tensor_parallel);
  inputs->tensor_parallel = tensor_parallel;
  inputs->level = level;
  const bool collectives = !operators.collectives.empty() || !operators.sample_collectives.empty();
  for (const auto& [shape, count] : operators.collectives) {
    if (shape.ranks == 0) continue;
    if (!sharing_link) throw InputError("expert parallel has no link profile to join its gpus");
    inputs->sharing_ranks = shape.ranks / tensor_parallel;
  }
  if (inputs->sharing_ranks > 1)
    inputs->sharing_link =
        with_group_curves(*sharing_link, static_cast<int>(inputs->sharing_ranks) * tensor_parallel);
  if (tensor_parallel > 1 && collectives && !link)
    throw InputError(fmt::format("tensor parallel {} has no link profile to join its gpus", tensor_parallel));
  for (const auto& [shape, count] : operators.attentions) {
    StageAttention attention;
    attention.shape = shape;
    attention.count = static_cast<double>(count);
    attention.kv_element_bytes = element_bytes(shape.kv_type);
    attention.prefill = &attention_prefill_model(*inputs->profile, shape);
    attention.decode = &attention_decode_model(*inputs->profile, shape);
    attention.prefill_load = inputs->load_of("attention_prefill");
    attention.decode_load = inputs->load_of("attention_decode/" + shape.kv_type);
    attention.prefill_factor = spread_factor(attention.prefill->spread, level.of(Family::attention_prefill));
    attention.decode_factor = spread_factor(attention.decode->spread, level.of(Family::attention_decode));
    grade_ = weakest(grade_, weakest(attention.prefill->grade, attention.decode->grade));
    inputs->attentions.push_back(std::move(attention));
  }
  for (const auto& [shape, count] : operators.latents) {
    const OperatorModel& prefill = latent_prefill_model(*inputs->profile, shape);
    const OperatorModel& decode = latent_decode_model(*inputs->profile, shape);
    grade_ = weakest(grade_, weakest(prefill.grade, decode.grade));
    inputs->latents.push_back(
        {shape, static_cast<double>(count), element_bytes(shape.kv_type), &prefill, &decode});
  }
  if (!operators.state_spaces.empty()) {
    const StateSpaceRule rule = shipped_operator_rules().state_space;
    inputs->scan_prefill = state_space_prefill_model(*inputs->profile, rule);
    inputs->scan_decode = state_space_decode_model(*inputs->profile, rule);
    grade_ = weakest(grade_, inputs->scan_prefill.grade);
    for (const auto& [shape, count] : operators.state_spaces)
      inputs->scans.push_back({shape, static_cast<double>(count)});
  }
  if (!operators.moes.empty()) inputs->routing = shipped_operator_rules().routing;
  inputs_ = std::move(inputs);
  // Any one pass touches every dense operator, and so finds what is missing before a simulation starts.
  const auto note_grade = [&](Family, const OperatorTime& time, std::int64_t) {
    grade_ = weakest(grade_, time.grade);
  };
  visit_dense(1, note_grade);
  visit_shared(1, note_grade);
  visit_sampling(1, note_grade);
}

template <class Visit>
const LoadedSeconds& StageCost::cached(std::vector<LoadedSeconds>& cache, std::int64_t count,
                                       Visit&& compute) const {
  const auto index = static_cast<std::size_t>(count);
  constexpr double unknown = -1;
  if (index >= cache.size()) {
    LoadedSeconds empty;
    empty.at_full_clock.seconds[0] = unknown;
    cache.resize(std::max(index + 1, 2 * cache.size()), empty);
  }
  LoadedSeconds& entry = cache[index];
  if (entry.at_full_clock.seconds[0] >= 0) return entry;
  entry = {};
  compute([&](Family family, const OperatorTime& time, std::int64_t operators) {
    const double factor = spread_factor(time.spread, inputs_->level.of(family));
    entry.add(family, time.seconds * static_cast<double>(operators) * factor, time.draw);
    extrapolated_ = extrapolated_ || time.extrapolated;
  });
  return entry;
}

const LoadedSeconds& StageCost::dense(std::int64_t tokens) const {
  return cached(dense_, tokens, [&](auto&& add) { visit_dense(tokens, add); });
}

const LoadedSeconds& StageCost::sampling(std::int64_t samples) const {
  return cached(sampling_, samples, [&](auto&& add) { visit_sampling(samples, add); });
}

const LoadedSeconds& StageCost::shared(std::int64_t tokens) const {
  return cached(shared_, tokens, [&](auto&& add) { visit_shared(tokens, add); });
}

std::int64_t StageCost::tokens_at_experts(const PassShape& pass, std::int64_t own_tokens) const {
  return pass.expert_tokens > 0 ? pass.expert_tokens : own_tokens * inputs_->sharing_ranks;
}

namespace {

std::int64_t token_count(const PassShape& pass) {
  std::int64_t tokens = pass.decodes * pass.tokens_per_decode;
  for (const PrefillChunk& chunk : pass.chunks) tokens += chunk.new_tokens;
  return tokens;
}

}  // namespace

FamilySeconds StageCost::cost(const PassShape& pass) const {
  const std::int64_t tokens = token_count(pass);
  if (tokens <= 0) return {};
  LoadedSeconds result = dense(tokens + pass.padding);
  if (inputs_->sharing_ranks > 1) result += shared(tokens_at_experts(pass, tokens + pass.padding));
  if (pass.samples > 0) result += sampling(pass.samples);
  visit_attention(pass, [&](Family family, const OperatorTime& time, double count, double factor) {
    result.add(family, time.seconds * count * factor, time.draw);
    extrapolated_ = extrapolated_ || time.extrapolated;
  });
  const std::optional<LoadModel>& load = inputs_->profile->load;
  return load ? result.sustained(*load, pass.duty) : result.at_full_clock;
}

double StageCost::memory_bound_share(const PassShape& pass) const {
  const std::int64_t tokens = token_count(pass);
  if (tokens <= 0) return 0;
  double all = 0, streaming = 0;
  const auto add = [&](const OperatorTime& time, double seconds) {
    all += seconds;
    if (time.memory_bound) streaming += seconds;
  };
  const auto add_at_level = [&](Family family, const OperatorTime& time, std::int64_t count) {
    add(time,
        time.seconds * static_cast<double>(count) * spread_factor(time.spread, inputs_->level.of(family)));
  };
  visit_dense(tokens + pass.padding, add_at_level);
  visit_shared(tokens_at_experts(pass, tokens + pass.padding), add_at_level);
  if (pass.samples > 0) visit_sampling(pass.samples, add_at_level);
  visit_attention(pass, [&](Family, const OperatorTime& time, double count, double factor) {
    add(time, time.seconds * count * factor);
  });
  return all > 0 ? streaming / all : 0;
}

}  // namespace sextant
