#include <algorithm>
#include <cassert>
#include <limits>

#include "sim/serving/decode_group.hpp"

namespace sextant {
namespace {

/// The plain form: every question visits every member.
class SpeculativeGroup : public DecodeGroup {
 public:
  SpeculativeGroup(const SpeculativeDecoding& decoding, const KvPool& pool)
      : draws_(decoding.draws), reserved_(decoding.reserved_tokens), pool_(pool) {
    longest_ = decoding.max_model_len > 0 ? decoding.max_model_len : std::numeric_limits<std::int64_t>::max();
  }

  void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t request,
           std::span<const std::int64_t> named_ends) override {
    if (slot >= members_.size()) members_.resize(static_cast<std::size_t>(slot) + 1);
    assert(!members_[slot].present);
    members_[slot] = {true, cached, remaining, pool_.token_blocks(cached), request, cached - 1, {}};
    members_[slot].named_ends.assign(named_ends.begin(), named_ends.end());
    members_[slot].named_ends.resize(pool_.windows.size());
    order_.push_back(slot);
  }
  void remove(std::uint32_t slot) override {
    members_[slot].present = false;
    std::erase(order_, slot);
  }

  std::int64_t count() const override { return static_cast<std::int64_t>(order_.size()); }
  std::int64_t cached_sum() const override {
    std::int64_t sum = 0;
    for (const std::uint32_t slot : order_) sum += members_[slot].cached;
    return sum;
  }
  std::int64_t blocks_needed() const override {
    std::int64_t blocks = 0;
    for (const std::uint32_t slot : order_) blocks += blocks_needed(slot);
    return blocks;
  }
  std::int64_t cached(std::uint32_t slot) const override { return members_[slot].cached; }
  std::int64_t remaining(std::uint32_t slot) const override { return members_[slot].remaining; }
  bool contains(std::uint32_t slot) const override {
    return slot < members_.size() && members_[slot].present;
  }
  std::int64_t blocks_needed(std::uint32_t slot) const override {
    const Member& member = members_[slot];
    return std::max<std::int64_t>(
        0, pool_.token_blocks(std::min(member.cached + reserved_, longest_)) - member.held);
  }
  std::int64_t blocks_held(std::uint32_t slot) const override { return members_[slot].held; }
  std::int64_t blocks_leaving() const override {
    std::int64_t blocks = 0;
    for (const std::uint32_t slot : order_) blocks += blocks_leaving(slot);
    return blocks;
  }
  std::vector<Leaving> named_leaving() const override {
    std::vector<Leaving> named;
    if (pool_.windows.empty()) return named;
    for (const std::uint32_t slot : order_)
      for (std::uint32_t w = 0; w < pool_.windows.size(); ++w) {
        const Span span = leaving(slot, w);
        const std::int64_t end = std::min(span.end, members_[slot].named_ends[w]);
        for (std::int64_t block = span.begin; block < end; ++block) named.push_back({slot, w});
      }
    return named;
  }
  std::int64_t slid(std::uint32_t slot) const override { return members_[slot].slid; }
  std::int64_t accepted() const override { return accepted_; }

  void advance(std::vector<std::uint32_t>& finished) override {
    for (const std::uint32_t slot : order_) step(slot);
    std::erase_if(order_, [&](std::uint32_t slot) {
      if (members_[slot].remaining > 0) return false;
      members_[slot].present = false;
      finished.push_back(slot);
      return true;
    });
  }

 protected:
  struct Member {
    bool present = false;
    std::int64_t cached = 0, remaining = 0;
    std::int64_t held = 0;  // blocks; those of rejected tokens stay with it
    std::uint64_t request = 0;
    std::int64_t slid = 0;  // cached tokens when blocks last left its windows
    std::vector<std::int64_t> named_ends{};
  };
  struct Span {
    std::int64_t begin, end;
  };
  /// The blocks that leave a window with the member's next step.
  Span leaving(std::uint32_t slot, std::size_t w) const {
    const Member& member = members_[slot];
    return {pool_.blocks_left(w, member.slid), pool_.blocks_left(w, member.cached)};
  }
  /// Blocks of the pool among them that have no name.
  std::int64_t blocks_leaving(std::uint32_t slot) const {
    std::int64_t blocks = 0;
    for (std::size_t w = 0; w < pool_.windows.size(); ++w) {
      const Span span = leaving(slot, w);
      const std::int64_t begin = std::clamp(members_[slot].named_ends[w], span.begin, span.end);
      blocks += pool_.windows[w].groups * (span.end - begin);
    }
    return blocks;
  }

  /// Its tokens have come: those accepted, and the one the model itself yields behind them.
  void step(std::uint32_t slot) {
    Member& member = members_[slot];
    member.held += blocks_needed(slot);
    member.slid = member.cached;
    const std::int64_t accepted = draws_->accepted(member.request, member.remaining);
    accepted_ += accepted;
    const std::int64_t tokens = std::min(accepted + 1, member.remaining);
    member.cached += tokens;
    member.remaining -= tokens;
  }

  std::vector<Member> members_;       // by slot; of one that has finished as it left
  std::vector<std::uint32_t> order_;  // in order of joining

 private:
  std::shared_ptr<const AcceptanceDraws> draws_;
  std::int64_t reserved_, longest_;
  KvPool pool_;
  std::int64_t accepted_ = 0;
};

/// Visits its members once a step, when their tokens come, and keeps the totals from there.
class SpeculativeGroupByTotals final : public SpeculativeGroup {
 public:
  using SpeculativeGroup::blocks_leaving;
  using SpeculativeGroup::blocks_needed;
  using SpeculativeGroup::SpeculativeGroup;

  void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t request,
           std::span<const std::int64_t> named_ends) override {
    SpeculativeGroup::add(slot, cached, remaining, request, named_ends);
    count(slot, 1);
  }
  void remove(std::uint32_t slot) override {
    count(slot, -1);
    SpeculativeGroup::remove(slot);
  }
  std::int64_t cached_sum() const override { return cached_sum_; }
  std::int64_t blocks_needed() const override { return blocks_needed_; }
  std::int64_t blocks_leaving() const override { return blocks_leaving_; }

  void advance(std::vector<std::uint32_t>& finished) override {
    cached_sum_ = blocks_needed_ = blocks_leaving_ = 0;
    std::size_t kept = 0;
    for (const std::uint32_t slot : order_) {
      step(slot);
      if (members_[slot].remaining > 0) {
        order_[kept++] = slot;
        count(slot, 1);
      } else {
        members_[slot].present = false;
        finished.push_back(slot);
      }
    }
    order_.resize(kept);
  }

  std::int64_t count() const override { return SpeculativeGroup::count(); }

 private:
  void count(std::uint32_t slot, std::int64_t sign) {
    cached_sum_ += sign * members_[slot].cached;
    blocks_needed_ += sign * blocks_needed(slot);
    blocks_leaving_ += sign * blocks_leaving(slot);
  }

  std::int64_t cached_sum_ = 0, blocks_needed_ = 0, blocks_leaving_ = 0;
};

}  // namespace

std::unique_ptr<DecodeGroup> make_speculative_group(const SpeculativeDecoding& decoding, const KvPool& pool,
                                                    bool step_by_step) {
  if (step_by_step) return std::make_unique<SpeculativeGroup>(decoding, pool);
  return std::make_unique<SpeculativeGroupByTotals>(decoding, pool);
}

}  // namespace sextant
