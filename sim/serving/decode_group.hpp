#pragma once
#include <cstdint>
#include <memory>
#include <vector>

namespace sextant {

/// The requests that decode together in one batch, step after step. Between two changes of its members a step
/// differs from the last only by growing contexts, so the group keeps totals that grow by rule and finds
/// completions by step number. Two implementations give identical answers: by totals, O(1) a step; and by
/// visiting each member (`--step-by-step`).
class DecodeGroup {
 public:
  virtual ~DecodeGroup() = default;

  /// A request (a slot of the caller) joins with `cached` tokens in its KV blocks and `remaining` >= 1 tokens
  /// to come.
  virtual void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining) = 0;
  /// A member leaves before its end (preempted).
  virtual void remove(std::uint32_t slot) = 0;

  virtual std::int64_t count() const = 0;
  /// Cached tokens of all members.
  virtual std::int64_t cached_sum() const = 0;
  /// Members whose next token needs a new KV block.
  virtual std::int64_t blocks_needed() const = 0;
  /// Cached tokens and remaining tokens of one member.
  virtual std::int64_t cached(std::uint32_t slot) const = 0;
  virtual std::int64_t remaining(std::uint32_t slot) const = 0;
  virtual bool contains(std::uint32_t slot) const = 0;

  /// Every member got its token. Those with none remaining leave; they are appended to `finished` in order of
  /// joining.
  virtual void advance(std::vector<std::uint32_t>& finished) = 0;
};

std::unique_ptr<DecodeGroup> make_decode_group(std::int64_t block_size, bool step_by_step);

}  // namespace sextant
