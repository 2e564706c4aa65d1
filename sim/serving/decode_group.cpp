#include "sim/serving/decode_group.hpp"

#include <algorithm>
#include <cassert>
#include <queue>
#include <tuple>

namespace sextant {
namespace {

/// Where slot-indexed data lives: grows to the largest slot seen.
template <class T>
T& at_slot(std::vector<T>& table, std::uint32_t slot) {
  if (slot >= table.size()) table.resize(static_cast<std::size_t>(slot) + 1);
  return table[slot];
}

/// The first block that leaves a window from now on, of a member with so many tokens cached.
std::int64_t first_to_leave(std::int64_t cached, std::int64_t window, std::int64_t block_size) {
  return std::max<std::int64_t>(0, cached - 1 - window + 1) / block_size;
}

/// Totals that grow by rule. `steps_` counts the group's steps; a member that joined at step s with c tokens
/// has c + (steps_ - s) now, so c - s identifies it for good and nothing is touched from step to step.
class GroupByTotals final : public DecodeGroup {
 public:
  explicit GroupByTotals(const KvPool& pool)
      : block_size_(pool.block_tokens), by_phase_(static_cast<std::size_t>(pool.block_tokens)) {
    for (const KvPool::Window& window : pool.windows)
      windows_.push_back({window, std::vector<std::int64_t>(static_cast<std::size_t>(pool.block_tokens))});
    assert(windows_.size() <= most_windows);
  }

  void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t,
           std::span<const std::int64_t> named_ends) override {
    Member& member = at_slot(members_, slot);
    assert(!member.present);
    member = {true, cached - steps_, steps_ + remaining, ++joined_};
    ++by_phase_[phase(member.origin)];
    ends_.push({member.end, member.joined, slot});
    ++count_;
    cached_sum_ += cached;
    for (std::uint32_t w = 0; w < windows_.size(); ++w) {
      const std::int64_t first = first_to_leave(cached, windows_[w].window.tokens, block_size_);
      const std::int64_t named = w < named_ends.size() ? named_ends[w] : 0;
      slides_.push({leaves_at(first, w) - member.origin, member.joined, w, slot, first, named});
    }
    slide();
  }

  void remove(std::uint32_t slot) override {
    cached_sum_ -= cached(slot);
    forget(slot);
  }

  std::int64_t count() const override { return count_; }
  std::int64_t cached_sum() const override { return cached_sum_; }
  std::int64_t blocks_needed() const override { return by_phase_[phase(-steps_)]; }
  std::int64_t blocks_needed(std::uint32_t slot) const override {
    return cached(slot) % block_size_ == 0 ? 1 : 0;
  }
  std::int64_t blocks_held(std::uint32_t slot) const override {
    return (cached(slot) + block_size_ - 1) / block_size_;
  }
  std::int64_t blocks_leaving() const override {
    std::int64_t blocks = 0;
    for (const Window& own : windows_) blocks += own.window.groups * own.by_phase[phase(-steps_)];
    return blocks;
  }
  std::vector<Leaving> named_leaving() const override { return named_leaving_; }
  std::int64_t cached(std::uint32_t slot) const override { return members_[slot].origin + steps_; }
  std::int64_t remaining(std::uint32_t slot) const override { return members_[slot].end - steps_; }
  bool contains(std::uint32_t slot) const override {
    return slot < members_.size() && members_[slot].present;
  }

  void advance(std::vector<std::uint32_t>& finished) override {
    ++steps_;
    cached_sum_ += count_;
    named_leaving_.clear();
    while (!ends_.empty() && ends_.top().end <= steps_) {
      const End end = ends_.top();
      ends_.pop();
      // A member that left and came back has a newer `joined`: its old end is void.
      if (!contains(end.slot) || members_[end.slot].joined != end.joined) continue;
      finished.push_back(end.slot);
      remove(end.slot);
    }
    slide();
  }

 private:
  static constexpr std::size_t most_windows = 8;
  struct Member {
    bool present = false;
    std::int64_t origin = 0;  // cached tokens minus step number at joining
    std::int64_t end = 0;     // the step number at which it finishes
    std::uint64_t joined = 0;
    std::uint8_t sliding = 0;  // by window a bit: its blocks leave by rule, without names
  };
  /// Members whose blocks leave by rule: one each block_size steps.
  struct Window {
    KvPool::Window window;
    std::vector<std::int64_t> by_phase;
  };
  /// A member's block leaves a window with this step, the first that does or one with a name.
  struct Slide {
    std::int64_t step;
    std::uint64_t joined;
    std::uint32_t window, slot;
    std::int64_t block, named_end;
    bool operator>(const Slide& other) const {
      return std::tie(step, joined, window) > std::tie(other.step, other.joined, other.window);
    }
  };
  struct End {
    std::int64_t end;
    std::uint64_t joined;
    std::uint32_t slot;
    bool operator>(const End& other) const {
      return end != other.end ? end > other.end : joined > other.joined;
    }
  };

  std::size_t phase(std::int64_t tokens) const {
    return static_cast<std::size_t>(((tokens % block_size_) + block_size_) % block_size_);
  }
  /// Cached tokens with which a block leaves.
  std::int64_t leaves_at(std::int64_t block, std::uint32_t w) const {
    return (block + 1) * block_size_ + windows_[w].window.tokens - 1;
  }
  std::int64_t& sliding_by_phase(const Member& member, std::uint32_t w) {
    return windows_[w].by_phase[phase(member.origin - windows_[w].window.tokens + 1)];
  }
  void slide() {
    while (!slides_.empty() && slides_.top().step <= steps_) {
      Slide at = slides_.top();
      slides_.pop();
      if (!contains(at.slot) || members_[at.slot].joined != at.joined) continue;
      Member& member = members_[at.slot];
      if (at.block < at.named_end) {
        named_leaving_.push_back({at.slot, at.window});
        ++at.block;
        at.step += block_size_;
        slides_.push(at);
      } else {
        ++sliding_by_phase(member, at.window);
        member.sliding = static_cast<std::uint8_t>(member.sliding | (1U << at.window));
      }
    }
  }
  void forget(std::uint32_t slot) {
    Member& member = members_[slot];
    --by_phase_[phase(member.origin)];
    for (std::uint32_t w = 0; w < windows_.size(); ++w)
      if ((member.sliding >> w & 1U) != 0) --sliding_by_phase(member, w);
    std::erase_if(named_leaving_, [slot](const Leaving& leaving) { return leaving.slot == slot; });
    member.present = false;
    --count_;
  }

  std::int64_t block_size_;
  std::int64_t steps_ = 0;
  std::int64_t count_ = 0;
  std::int64_t cached_sum_ = 0;
  std::uint64_t joined_ = 0;
  std::vector<std::int64_t> by_phase_;  // members by (cached - steps) modulo block size
  std::vector<Member> members_;         // by slot
  std::priority_queue<End, std::vector<End>, std::greater<>> ends_;
  std::vector<Window> windows_;
  std::priority_queue<Slide, std::vector<Slide>, std::greater<>> slides_;
  std::vector<Leaving> named_leaving_;  // with the next step
};

/// The plain form: every question visits every member.
class GroupByVisiting final : public DecodeGroup {
 public:
  explicit GroupByVisiting(const KvPool& pool) : block_size_(pool.block_tokens), windows_(pool.windows) {}

  void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t,
           std::span<const std::int64_t> named_ends) override {
    members_.push_back({slot, cached, remaining, {named_ends.begin(), named_ends.end()}});
    members_.back().named_ends.resize(windows_.size());
  }
  void remove(std::uint32_t slot) override {
    std::erase_if(members_, [slot](const Member& m) { return m.slot == slot; });
  }
  std::int64_t count() const override { return static_cast<std::int64_t>(members_.size()); }
  std::int64_t cached_sum() const override {
    std::int64_t sum = 0;
    for (const Member& m : members_) sum += m.cached;
    return sum;
  }
  std::int64_t blocks_needed() const override {
    return std::count_if(members_.begin(), members_.end(),
                         [this](const Member& m) { return m.cached % block_size_ == 0; });
  }
  std::int64_t blocks_needed(std::uint32_t slot) const override {
    return find(slot)->cached % block_size_ == 0 ? 1 : 0;
  }
  std::int64_t blocks_held(std::uint32_t slot) const override {
    return (find(slot)->cached + block_size_ - 1) / block_size_;
  }
  std::int64_t blocks_leaving() const override {
    std::int64_t blocks = 0;
    for (const Member& m : members_)
      for (std::size_t w = 0; w < windows_.size(); ++w)
        if (const std::int64_t block = leaving_block(m, w); block >= m.named_ends[w])
          blocks += windows_[w].groups;
    return blocks;
  }
  std::vector<Leaving> named_leaving() const override {
    std::vector<Leaving> named;
    for (const Member& m : members_)
      for (std::size_t w = 0; w < windows_.size(); ++w)
        if (const std::int64_t block = leaving_block(m, w); block >= 0 && block < m.named_ends[w])
          named.push_back({m.slot, static_cast<std::uint32_t>(w)});
    return named;
  }
  std::int64_t cached(std::uint32_t slot) const override { return find(slot)->cached; }
  std::int64_t remaining(std::uint32_t slot) const override { return find(slot)->remaining; }
  bool contains(std::uint32_t slot) const override { return find(slot) != members_.end(); }
  void advance(std::vector<std::uint32_t>& finished) override {
    for (Member& m : members_) {
      ++m.cached;
      if (--m.remaining == 0) finished.push_back(m.slot);
    }
    std::erase_if(members_, [](const Member& m) { return m.remaining == 0; });
  }

 private:
  struct Member {
    std::uint32_t slot;
    std::int64_t cached;
    std::int64_t remaining;
    std::vector<std::int64_t> named_ends;  // by window
  };
  /// The block that leaves the window with the member's next step; -1: none.
  std::int64_t leaving_block(const Member& member, std::size_t w) const {
    const std::int64_t before = member.cached - windows_[w].tokens + 1;
    return before > 0 && before % block_size_ == 0 ? before / block_size_ - 1 : -1;
  }
  std::vector<Member>::const_iterator find(std::uint32_t slot) const {
    return std::find_if(members_.begin(), members_.end(), [slot](const Member& m) { return m.slot == slot; });
  }
  std::int64_t block_size_;
  std::vector<KvPool::Window> windows_;
  std::vector<Member> members_;  // in order of joining
};

}  // namespace

std::unique_ptr<DecodeGroup> make_decode_group(const KvPool& pool, bool step_by_step) {
  if (step_by_step) return std::make_unique<GroupByVisiting>(pool);
  return std::make_unique<GroupByTotals>(pool);
}

std::unique_ptr<DecodeGroup> make_decode_group(std::int64_t block_size, bool step_by_step) {
  KvPool pool;
  pool.block_tokens = block_size;
  return make_decode_group(pool, step_by_step);
}

}  // namespace sextant
