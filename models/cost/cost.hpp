#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "models/llm/operators.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {

/// Kinds of work whose prediction errors go together.
enum class Family { gemm, attention_prefill, attention_decode, elementwise, collective, point_to_point, host };
inline constexpr std::size_t family_count = 7;
std::string to_string(Family);

/// Seconds by family.
struct FamilySeconds {
  std::array<double, family_count> seconds{};
  double& operator[](Family f) { return seconds[static_cast<std::size_t>(f)]; }
  double operator[](Family f) const { return seconds[static_cast<std::size_t>(f)]; }
  double total() const;
  FamilySeconds& operator+=(const FamilySeconds&);
};

/// Where in its 90 % interval each family is taken: 0 nominal, +1 the slow end, -1 the fast end. Errors are fully
/// correlated within a family.
struct CostLevel {
  std::array<double, family_count> level{};
  double of(Family f) const { return level[static_cast<std::size_t>(f)]; }
  static CostLevel only(Family f, double level);
};

/// One operator's predicted time.
struct OperatorTime {
  double seconds = 0;
  Grade grade = Grade::assumed;
  Spread spread;
  bool extrapolated = false;   ///< asked outside the fitted range
};

/// Prompt tokens of one request in a pass, after `past` tokens that are cached already.
struct PrefillChunk {
  std::int64_t new_tokens = 0;
  std::int64_t past_tokens = 0;
};

// Single operators. Each throws InputError if the profile lacks the type ("profile X has no gemm of type nvfp4").
OperatorTime gemm_time(const GpuProfile&, const std::string& type, double m, double n, double k);
/// One layer's causal attention of one chunk, `heads` on this GPU.
OperatorTime attention_prefill_time(const GpuProfile&, const AttentionShape&, PrefillChunk);
/// One layer's attention of `batch` decodes whose cached tokens sum to `context_sum` (the new token included).
OperatorTime attention_decode_time(const GpuProfile&, const AttentionShape&, double batch, double context_sum);
OperatorTime elementwise_time(const GpuProfile&, double bytes);
/// `bytes` as nccl-tests' size. ranks 1: zero.
OperatorTime collective_time(const LinkProfile&, const std::string& op, int ranks, double bytes);
OperatorTime send_time(const LinkProfile&, double bytes, bool staged);

/// What a pass holds: all that its cost depends on.
struct PassShape {
  std::int64_t decodes = 0;               ///< sequences that compute one token
  std::int64_t decode_context_sum = 0;    ///< their cached tokens, the new ones included
  std::span<const PrefillChunk> chunks;
  std::int64_t samples = 0;               ///< sequences that yield a token: decodes and last chunks
};

/// Cost of the passes of one stage on one kind of GPU. Holds a cache by token count, so it is not shared between
/// threads; copying is cheap before its first use.
class StageCost {
 public:
  /// `link` joins the tensor-parallel group; may be null where tensor_parallel is 1.
  StageCost(const StageOperators&, const GpuProfile&, const LinkProfile* link, int tensor_parallel, CostLevel = {});

  FamilySeconds cost(const PassShape&) const;
  /// The weakest grade among all operators, and whether any pass so far asked outside a fitted range.
  Grade grade() const { return grade_; }
  bool extrapolated() const { return extrapolated_; }
  /// Share of `cost(shape)` that streams from memory rather than computes; for explanations.
  double memory_bound_share(const PassShape&) const;

 private:
  const FamilySeconds& dense(std::int64_t tokens) const;     ///< GEMMs, element-wise, collectives at a token count
  const FamilySeconds& sampling(std::int64_t samples) const;
  StageOperators operators_;
  GpuProfile profile_;
  LinkProfile link_;
  int tensor_parallel_ = 1;
  CostLevel level_;
  Grade grade_ = Grade::measured;
  mutable bool extrapolated_ = false;
  mutable std::vector<FamilySeconds> dense_;      ///< by token count; total() < 0: not computed yet
  mutable std::vector<FamilySeconds> sampling_;
};

}  // namespace sextant
