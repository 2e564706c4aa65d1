#include "sim/serving/decode_group.hpp"

#include <algorithm>
#include <cassert>
#include <queue>

namespace sextant {
namespace {

/// Where slot-indexed data lives: grows to the largest slot seen.
template <class T>
T& at_slot(std::vector<T>& table, std::uint32_t slot) {
  if (slot >= table.size()) table.resize(static_cast<std::size_t>(slot) + 1);
  return table[slot];
}

/// Totals that grow by rule. `steps_` counts the group's steps; a member that joined at step s with c tokens
/// has c + (steps_ - s) now, so c - s identifies it for good and nothing is touched from step to step.
class GroupByTotals final : public DecodeGroup {
 public:
  explicit GroupByTotals(std::int64_t block_size)
      : block_size_(block_size), by_phase_(static_cast<std::size_t>(block_size)) {}

  void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t) override {
    Member& member = at_slot(members_, slot);
    assert(!member.present);
    member = {true, cached - steps_, steps_ + remaining, ++joined_};
    ++by_phase_[phase(member.origin)];
    ends_.push({member.end, member.joined, slot});
    ++count_;
    cached_sum_ += cached;
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
  std::int64_t cached(std::uint32_t slot) const override { return members_[slot].origin + steps_; }
  std::int64_t remaining(std::uint32_t slot) const override { return members_[slot].end - steps_; }
  bool contains(std::uint32_t slot) const override {
    return slot < members_.size() && members_[slot].present;
  }

  void advance(std::vector<std::uint32_t>& finished) override {
    ++steps_;
    cached_sum_ += count_;
    while (!ends_.empty() && ends_.top().end <= steps_) {
      const End end = ends_.top();
      ends_.pop();
      // A member that left and came back has a newer `joined`: its old end is void.
      if (!contains(end.slot) || members_[end.slot].joined != end.joined) continue;
      finished.push_back(end.slot);
      remove(end.slot);
    }
  }

 private:
  struct Member {
    bool present = false;
    std::int64_t origin = 0;  // cached tokens minus step number at joining
    std::int64_t end = 0;     // the step number at which it finishes
    std::uint64_t joined = 0;
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
  void forget(std::uint32_t slot) {
    --by_phase_[phase(members_[slot].origin)];
    members_[slot].present = false;
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
};

/// The plain form: every question visits every member.
class GroupByVisiting final : public DecodeGroup {
 public:
  explicit GroupByVisiting(std::int64_t block_size) : block_size_(block_size) {}

  void add(std::uint32_t slot, std::int64_t cached, std::int64_t remaining, std::uint64_t) override {
    members_.push_back({slot, cached, remaining});
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
  };
  std::vector<Member>::const_iterator find(std::uint32_t slot) const {
    return std::find_if(members_.begin(), members_.end(), [slot](const Member& m) { return m.slot == slot; });
  }
  std::int64_t block_size_;
  std::vector<Member> members_;  // in order of joining
};

}  // namespace

std::unique_ptr<DecodeGroup> make_decode_group(std::int64_t block_size, bool step_by_step) {
  if (step_by_step) return std::make_unique<GroupByVisiting>(block_size);
  return std::make_unique<GroupByTotals>(block_size);
}

}  // namespace sextant
