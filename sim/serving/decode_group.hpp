#pragma once
#include <cstdint>
#include <memory>
#include <vector>

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
  /// `remaining` >= 1 tokens to come.
  virtual void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining,
                   std::uint64_t request = 0) = 0;
  /// A member leaves before its end (preempted).
  virtual void remove(std::uint32_t slot) = 0;

  virtual std::int64_t count() const = 0;
  /// Cached tokens of all members.
  virtual std::int64_t cached_sum() const = 0;
  /// KV blocks that the members' next step needs beside those they hold, of all and of one.
  virtual std::int64_t blocks_needed() const = 0;
  virtual std::int64_t blocks_needed(std::uint32_t slot) const = 0;
  /// KV blocks of one member before its next step; of one that speculates and has just finished, all it
  /// leaves.
  virtual std::int64_t blocks_held(std::uint32_t slot) const = 0;
  /// Cached tokens and remaining tokens of one member.
  virtual std::int64_t cached(std::uint32_t slot) const = 0;
  virtual std::int64_t remaining(std::uint32_t slot) const = 0;
  virtual bool contains(std::uint32_t slot) const = 0;

  /// Every member got its token (or tokens, where they are speculated). Those with none remaining leave; they
  /// are appended to `finished` in order of joining.
  virtual void advance(std::vector<std::uint32_t>& finished) = 0;
  /// Speculated tokens that were accepted so far.
  virtual std::int64_t accepted() const { return 0; }
};

std::unique_ptr<DecodeGroup> make_decode_group(std::int64_t block_size, bool step_by_step);

/// How the members of a group get several tokens in a step.
struct SpeculativeDecoding {
  std::shared_ptr<const AcceptanceDraws> draws;  ///< null: they do not
  std::int64_t reserved_tokens = 1;              ///< Speculation::reserved_tokens
  std::int64_t max_model_len = 0;                ///< no slots are held beyond it; 0: no such bound
};

/// Members advance by chance and each by its own count, so no total grows by rule: a step costs O(members),
/// once. The plain form visits them at every question.
std::unique_ptr<DecodeGroup> make_speculative_group(const SpeculativeDecoding&, std::int64_t block_size,
                                                    bool step_by_step);

}  // namespace sextant
