#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/llm/operators.hpp"
#include "models/profile/gpu_profile.hpp"
#include "models/profile/link_profile.hpp"
#include "models/profile/operator_rules.hpp"

namespace sextant {

/// Kinds of work whose prediction errors go together.
enum class Family {
  gemm,
  moe,
  attention_prefill,
  attention_decode,
  elementwise,
  collective,
  point_to_point,
  host,
  state_space
};
inline constexpr std::size_t family_count = 9;
std::string to_string(Family);

/// Seconds by family.
struct FamilySeconds {
  std::array<double, family_count> seconds{};
  double& operator[](Family f) { return seconds[static_cast<std::size_t>(f)]; }
  double operator[](Family f) const { return seconds[static_cast<std::size_t>(f)]; }
  double total() const;
  FamilySeconds& operator+=(const FamilySeconds&);
};

/// Seconds at the full clock, those of them that go with the clock, and what they draw.
struct LoadedSeconds {
  FamilySeconds at_full_clock, clocked;
  double joules = 0;
  void add(Family, double seconds, const WorkDraw&);
  LoadedSeconds& operator+=(const LoadedSeconds&);
  /// The seconds at the clock that the load model allows such work, done for that share of the time. Waiting
  /// counts for as long as the limit's window; a longer pass goes on at the clock of work without rests.
  FamilySeconds sustained(const LoadModel&, double duty) const;
};

/// Where in its 90 % interval each family is taken: 0 nominal, +1 the slow end, -1 the fast end, geometric
/// between. Errors are fully correlated within a family.
struct CostLevel {
  std::array<double, family_count> level{};
  double scale = 1;  ///< of every time of a run: what no operator's interval covers
  double of(Family f) const { return level[static_cast<std::size_t>(f)]; }
  static CostLevel only(Family f, double level);
};

/// What a time at that level is multiplied by: high^level from 0 up, low^-level below.
double spread_factor(const Spread&, double level);

/// One operator's predicted time.
struct OperatorTime {
  double seconds = 0;
  Grade grade = Grade::assumed;
  Spread spread;
  bool extrapolated = false;  ///< asked outside the fitted range
  bool memory_bound = false;  ///< the bytes, not the arithmetic, take the time
  double in_passes = 1;       ///< what the mean over many layers takes of it (SlowState)
  double alone_seconds = 0;   ///< that a kernel among others in a pass does not take
  WorkDraw draw = {};         ///< at the full clock; where the profile has a load model
};

/// Prompt tokens of one request in a pass, after `past` tokens that are cached already.
struct PrefillChunk {
  std::int64_t new_tokens = 0;
  std::int64_t past_tokens = 0;
};

// Single operators, each latency + max(flops / rate, bytes / bandwidth) / efficiency. Each throws InputError
// if the profile lacks the type ("profile X has no gemm of type nvfp4").

/// flops = 2 m n k; bytes = inputs and weights read, 16-bit outputs written.
OperatorTime gemm_time(const GpuProfile&, const std::string& type, double m, double n, double k);
/// One layer's routed experts for `tokens` that reach the layer: flops =
/// 2 x tokens x topk / expert_parallel x the weights of an expert on this GPU; bytes = the weights of the
/// experts that any token meets (each of them with probability 1 - (1 - topk / experts)^tokens), 16-bit
/// inputs and outputs; and what gathering, activation and summing move besides (moe_work).
OperatorTime moe_time(const GpuProfile&, const MoeShape&, double tokens);
/// The same where the router spreads tokens as `routing` says (operator_work.hpp).
OperatorTime moe_time(const GpuProfile&, const MoeShape&, double tokens, const std::string& routing);
/// The same where loads follow the rule's power law, on the fullest of the GPUs that share the experts.
OperatorTime moe_time(const GpuProfile&, const MoeShape&, double tokens, const RoutingRule&);
/// The same on the GPU that chance sends most, where every token takes its experts at random
/// (fullest_rank_by_chance). The interval reaches up to the power law's: how unevenly a model's own router
/// loads its experts is not known.
OperatorTime divided_moe_time(const GpuProfile&, const MoeShape&, double tokens, const RoutingRule&);
/// One layer's causal attention of one chunk, `heads` on this GPU. Each query sees itself and what is before
/// it, at most `window` tokens, or only its own chunk: flops = 4 x heads x head_dim x pairs; bytes = keys and
/// values once, queries and outputs.
OperatorTime attention_prefill_time(const GpuProfile&, const AttentionShape&, PrefillChunk);
/// The same for several sequences in one kernel: latency once, efficiency at their summed new tokens.
OperatorTime attention_prefill_time(const GpuProfile&, const AttentionShape&, std::span<const PrefillChunk>);
/// One layer's attention of `batch` decodes whose cached tokens sum to `context_sum` (the new token
/// included). A window cuts the mean context; chunked attention sees half a chunk on average once contexts
/// are longer than one.
OperatorTime attention_decode_time(const GpuProfile&, const AttentionShape&, double batch,
                                   double context_sum);
/// A small kernel over so many tokens: that operation's own model where the profile has one, else what the
/// profile says of small kernels by the bytes they move.
OperatorTime elementwise_time(const GpuProfile&, const ElementwiseShape&, double tokens);
/// `bytes` as nccl-tests' size; an engine's own kernel where the link has one up to that size and it is
/// faster than NCCL (by_nccl_alone takes them out for engines without). A group without a curve has the
/// link's ring model (group_curve.hpp). ranks 1: zero. Throws InputError naming the measured groups if there
/// is neither.
OperatorTime collective_time(const LinkProfile&, const std::string& op, int ranks, double bytes);
/// One message, one way. Throws InputError if `staged` is asked of a link that has no such curve.
OperatorTime send_time(const LinkProfile&, double bytes, bool staged);

/// How a variable-length attention kernel treats a decode that shares it with prompts: its one query fills a
/// whole tile of rows, of each query head or, where the kernel packs them, of a key-value head's group.
struct QueryTile {
  std::int64_t rows = 0;     ///< 0: decodes have a kernel of their own beside prompts too
  bool packs_heads = false;  ///< the query heads that share a key-value head share a tile
  bool operator==(const QueryTile&) const = default;
};

/// What a pass holds: all that its cost depends on.
struct PassShape {
  std::int64_t decodes = 0;             ///< sequences that compute one token, or `tokens_per_decode`
  std::int64_t decode_context_sum = 0;  ///< their cached tokens, the new ones included
  std::span<const PrefillChunk> chunks;
  std::int64_t samples = 0;  ///< rows of the head: each decode's tokens and one of each last chunk
  QueryTile mixed_tile;      ///< with both decodes and chunks
  std::int64_t padding = 0;  ///< tokens computed for nothing, by all but attention and head
  double duty = 1;           ///< share of the time in which the GPU works: waiting, it draws less
  /// New tokens of each decode: more than one where a step verifies tokens that were speculated. What is
  /// cached is read once for all of them.
  std::int64_t tokens_per_decode = 1;
  /// Tokens, padding included, that data-parallel ranks bring to the experts they share; 0: each rank as many
  /// as this one.
  std::int64_t expert_tokens = 0;
};

struct SamplerWork;

/// Cost of the passes of one stage on one kind of GPU. Holds a cache by token count, so it is not shared
/// between threads; copying is cheap before its first use.
class StageCost {
 public:
  /// `link` joins the tensor-parallel group; may be null where tensor_parallel is 1. `sampler` chooses tokens
  /// behind the head; null: the likeliest, always. `sharing_link` joins all GPUs of the ranks that share
  /// experts. Throws InputError if the profile lacks an operator of the stage or a link a collective of it.
  StageCost(const StageOperators&, std::shared_ptr<const GpuProfile>, const LinkProfile* link,
            int tensor_parallel, CostLevel = {}, std::shared_ptr<const SamplerWork> sampler = nullptr,
            const LinkProfile* sharing_link = nullptr);
  /// The same with a copy of the profile.
  StageCost(const StageOperators& operators, const GpuProfile& profile, const LinkProfile* link,
            int tensor_parallel, CostLevel level = {}, std::shared_ptr<const SamplerWork> sampler = nullptr)
      : StageCost(operators, std::make_shared<const GpuProfile>(profile), link, tensor_parallel, level,
                  std::move(sampler)) {}

  /// A pass without tokens costs nothing; without samples, no head. Passes of this kind follow each other for
  /// so long that the power limit sets the clock, where the profile has a load model.
  FamilySeconds cost(const PassShape&) const;
  /// The weakest grade among all operators, and whether any pass so far asked outside a fitted range.
  Grade grade() const { return grade_; }
  bool extrapolated() const { return extrapolated_; }
  /// Share of `cost(shape)` that streams from memory rather than computes.
  double memory_bound_share(const PassShape&) const;

 private:
  struct Inputs;  ///< operators and profiles, shared between copies
  template <class Visit>
  void visit_dense(std::int64_t tokens, Visit&& visit) const;
  template <class Visit>
  void visit_shared(std::int64_t tokens, Visit&& visit) const;
  template <class Visit>
  void visit_sampling(std::int64_t samples, Visit&& visit) const;
  template <class Visit>
  void visit_attention(const PassShape&, Visit&& visit) const;
  template <class Visit>
  const LoadedSeconds& cached(std::vector<LoadedSeconds>& cache, std::int64_t count, Visit&& compute) const;
  const LoadedSeconds& dense(
      std::int64_t tokens) const;  ///< GEMMs, routed experts, element-wise, collectives at a token count
  const LoadedSeconds& sampling(std::int64_t samples) const;
  const LoadedSeconds& shared(std::int64_t tokens) const;  ///< experts of several ranks, and the exchange
  std::int64_t tokens_at_experts(const PassShape&, std::int64_t own_tokens) const;

  std::shared_ptr<const Inputs> inputs_;
  Grade grade_ = Grade::measured;
  mutable bool extrapolated_ = false;
  mutable std::vector<LoadedSeconds> dense_;  ///< by token count; a first family below 0: not computed yet
  mutable std::vector<LoadedSeconds> sampling_;
  mutable std::vector<LoadedSeconds> shared_;
};

}  // namespace sextant
