#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "models/llm/kv_pool.hpp"
#include "sim/serving/speculation.hpp"

namespace sextant {

/// The requests that decode together in one batch, step after step. Between two changes of its members a step
/// differs from the last only by growing contexts, so the group keeps totals that grow by rule and finds
/// completions by step number. Two implementations give identical answers: by totals, O(1) a step; and by
/// visiting each member (`--step-by-step`).
class DecodeGroup {
 public:
  virtual ~DecodeGroup() = default;

  /// A request (a slot of the caller; `request` is its id) joins with `cached` tokens in its KV blocks and
  /// `remaining` >= 1 tokens to come. What lay before its windows at cached - 1 tokens is given back; of
  /// those still to leave a window the ones before `named_ends` (by window) have names.
  virtual void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t request = 0,
                   std::span<const std::int64_t> named_ends = {}) = 0;
  /// A member leaves before its end (preempted).
  virtual void remove(std::uint32_t slot) = 0;

  virtual std::int64_t count() const = 0;
  /// Cached tokens of all members.
  virtual std::int64_t cached_sum() const = 0;
  /// Blocks of tokens that the members' next step needs beside those they hold, of all and of one.
  virtual std::int64_t blocks_needed() const = 0;
  virtual std::int64_t blocks_needed(std::uint32_t slot) const = 0;
  /// Blocks of tokens of one member before its next step, those that left a window included; of one that
  /// speculates and has just finished, all it leaves.
  virtual std::int64_t blocks_held(std::uint32_t slot) const = 0;
  /// Blocks of the pool that leave their windows with the members' next step, those with a name apart; and
  /// those with a name, in order of joining.
  virtual std::int64_t blocks_leaving() const = 0;
  struct Leaving {
    std::uint32_t slot = 0;
    std::uint32_t window = 0;
    bool operator==(const Leaving&) const = default;
  };
  virtual std::vector<Leaving> named_leaving() const = 0;
  /// Cached tokens and remaining tokens of one member.
  virtual std::int64_t cached(std::uint32_t slot) const = 0;
  virtual std::int64_t remaining(std::uint32_t slot) const = 0;
  /// Cached tokens of one member when its blocks last left their windows; as blocks_held.
  virtual std::int64_t slid(std::uint32_t slot) const { return cached(slot) - 1; }
  virtual bool contains(std::uint32_t slot) const = 0;

  /// Every member got its token (or tokens, where they are speculated). Those with none remaining leave; they
  /// are appended to `finished` in order of joining.
  virtual void advance(std::vector<std::uint32_t>& finished) = 0;
  /// Speculated tokens that were accepted so far.
  virtual std::int64_t accepted() const { return 0; }
};

std::unique_ptr<DecodeGroup> make_decode_group(const KvPool&, bool step_by_step);
/// Every layer keeps every token.
std::unique_ptr<DecodeGroup> make_decode_group(std::int64_t block_size, bool step_by_step);

/// How the members of a group get several tokens in a step.
struct SpeculativeDecoding {
  std::shared_ptr<const AcceptanceDraws> draws;  ///< null: they do not
  std::int64_t reserved_tokens = 1;              ///< Speculation::reserved_tokens
  std::int64_t max_model_len = 0;                ///< no slots are held beyond it; 0: no such bound
};

/// Members advance by chance and each by its own count, so no total grows by rule: a step costs O(members),
/// once. The plain form visits them at every question.
std::unique_ptr<DecodeGroup> make_speculative_group(const SpeculativeDecoding&, const KvPool&,
                                                    bool step_by_step);

}  // namespace sextant
