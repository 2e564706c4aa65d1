#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <optional>

#include "models/base/error.hpp"
#include "models/cost/cost.hpp"
#include "models/cost/group_curve.hpp"
#include "models/cost/operator_time.hpp"
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
  double prefill_factor = 1;
  double decode_factor = 1;
};

}  // namespace

std::string to_string(Family family) {
  constexpr std::array names = {"gemm",        "moe",        "attention_prefill", "attention_decode",
                                "elementwise", "collective", "point_to_point",    "host"};
  static_assert(names.size() == family_count);
  return names[static_cast<std::size_t>(family)];
}

double FamilySeconds::total() const {
  return std::accumulate(seconds.begin(), seconds.end(), 0.0);
}

FamilySeconds& FamilySeconds::operator+=(const FamilySeconds& other) {
  for (std::size_t i = 0; i < family_count; ++i) seconds[i] += other.seconds[i];
  return *this;
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
  int tensor_parallel = 1;
  CostLevel level;
  std::vector<StageAttention> attentions;
};

// visit(family, time, count): `count` operators of that kind in one pass.
template <class Visit>
void StageCost::visit_dense(std::int64_t tokens, Visit&& visit) const {
  const auto m = static_cast<double>(tokens);
  const StageOperators& operators = inputs_->operators;
  for (const auto& [shape, count] : operators.gemms)
    visit(Family::gemm,
          gemm_time(*inputs_->profile, shape.type, m, static_cast<double>(shape.n),
                    static_cast<double>(shape.k)),
          count);
  for (const auto& [shape, count] : operators.moes)
    visit(Family::moe, moe_time(*inputs_->profile, shape, m), count);
  for (const auto& [shape, count] : operators.elementwise)
    visit(Family::elementwise, elementwise_time(*inputs_->profile, shape, m), count);
  if (inputs_->tensor_parallel <= 1) return;
  for (const auto& [shape, count] : operators.collectives)
    visit(Family::collective,
          collective_time(*inputs_->link, shape.op, inputs_->tensor_parallel, shape.bytes_per_token * m),
          count);
}

template <class Visit>
void StageCost::visit_sampling(std::int64_t samples, Visit&& visit) const {
  const auto m = static_cast<double>(samples);
  const StageOperators& operators = inputs_->operators;
  for (const auto& [shape, count] : operators.sample_gemms)
    visit(Family::gemm,
          gemm_time(*inputs_->profile, shape.type, m, static_cast<double>(shape.n),
                    static_cast<double>(shape.k)),
          count);
  for (const auto& [shape, count] : operators.sample_elementwise)
    visit(Family::elementwise, elementwise_time(*inputs_->profile, shape, m), count);
  if (inputs_->tensor_parallel <= 1) return;
  for (const auto& [shape, count] : operators.sample_collectives)
    visit(Family::collective,
          collective_time(*inputs_->link, shape.op, inputs_->tensor_parallel, shape.bytes_per_token * m),
          count);
}

// visit(family, time, count, factor): the factor of the cost level is known beforehand here.
template <class Visit>
void StageCost::visit_attention(const PassShape& pass, Visit&& visit) const {
  for (const StageAttention& attention : inputs_->attentions) {
    if (!pass.chunks.empty())
      visit(Family::attention_prefill,
            attention_prefill_time(*attention.prefill, attention.shape, attention.kv_element_bytes,
                                   pass.chunks),
            attention.count, attention.prefill_factor);
    if (pass.decodes > 0)
      visit(Family::attention_decode,
            attention_decode_time(*attention.decode, attention.shape, attention.kv_element_bytes,
                                  static_cast<double>(pass.decodes),
                                  static_cast<double>(pass.decode_context_sum)),
            attention.count, attention.decode_factor);
  }
}

StageCost::StageCost(const StageOperators& operators, std::shared_ptr<const GpuProfile> profile,
                     const LinkProfile* link, int tensor_parallel, CostLevel level) {
  auto inputs = std::make_shared<Inputs>();
  inputs->operators = operators;
  inputs->profile = std::move(profile);
  if (link) inputs->link = with_group_curves(*link, tensor_parallel);
  inputs->tensor_parallel = tensor_parallel;
  inputs->level = level;
  const bool collectives = !operators.collectives.empty() || !operators.sample_collectives.empty();
  if (tensor_parallel > 1 && collectives && !link)
    throw InputError(fmt::format("tensor parallel {} has no link profile to join its gpus", tensor_parallel));
  for (const auto& [shape, count] : operators.attentions) {
    StageAttention attention;
    attention.shape = shape;
    attention.count = static_cast<double>(count);
    attention.kv_element_bytes = element_bytes(shape.kv_type);
    attention.prefill = &attention_prefill_model(*inputs->profile, shape);
    attention.decode = &attention_decode_model(*inputs->profile, shape);
    attention.prefill_factor = spread_factor(attention.prefill->spread, level.of(Family::attention_prefill));
    attention.decode_factor = spread_factor(attention.decode->spread, level.of(Family::attention_decode));
    grade_ = weakest(grade_, weakest(attention.prefill->grade, attention.decode->grade));
    inputs->attentions.push_back(std::move(attention));
  }
  inputs_ = std::move(inputs);
  // Any one pass touches every dense operator, and so finds what is missing before a simulation starts.
  const auto note_grade = [&](Family, const OperatorTime& time, std::int64_t) {
    grade_ = weakest(grade_, time.grade);
  };
  visit_dense(1, note_grade);
  visit_sampling(1, note_grade);
}

template <class Visit>
const FamilySeconds& StageCost::cached(std::vector<FamilySeconds>& cache, std::int64_t count,
                                       Visit&& compute) const {
  const auto index = static_cast<std::size_t>(count);
  constexpr double unknown = -1;
  if (index >= cache.size()) {
    FamilySeconds empty;
    empty.seconds[0] = unknown;
    cache.resize(std::max(index + 1, 2 * cache.size()), empty);
  }
  FamilySeconds& entry = cache[index];
  if (entry.seconds[0] >= 0) return entry;
  entry = {};
  compute([&](Family family, const OperatorTime& time, std::int64_t operators) {
    entry[family] +=
        time.seconds * static_cast<double>(operators) * spread_factor(time.spread, inputs_->level.of(family));
    extrapolated_ = extrapolated_ || time.extrapolated;
  });
  return entry;
}

const FamilySeconds& StageCost::dense(std::int64_t tokens) const {
  return cached(dense_, tokens, [&](auto&& add) { visit_dense(tokens, add); });
}

const FamilySeconds& StageCost::sampling(std::int64_t samples) const {
  return cached(sampling_, samples, [&](auto&& add) { visit_sampling(samples, add); });
}

namespace {

std::int64_t token_count(const PassShape& pass) {
  std::int64_t tokens = pass.decodes;
  for (const PrefillChunk& chunk : pass.chunks) tokens += chunk.new_tokens;
  return tokens;
}

}  // namespace

FamilySeconds StageCost::cost(const PassShape& pass) const {
  const std::int64_t tokens = token_count(pass);
  if (tokens <= 0) return {};
  FamilySeconds result = dense(tokens);
  if (pass.samples > 0) result += sampling(pass.samples);
  visit_attention(pass, [&](Family family, const OperatorTime& time, double count, double factor) {
    result[family] += time.seconds * count * factor;
    extrapolated_ = extrapolated_ || time.extrapolated;
  });
  return result;
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
  visit_dense(tokens, add_at_level);
  if (pass.samples > 0) visit_sampling(pass.samples, add_at_level);
  visit_attention(pass, [&](Family, const OperatorTime& time, double count, double factor) {
    add(time, time.seconds * count * factor);
  });
  return all > 0 ? streaming / all : 0;
}

}  // namespace sextant
