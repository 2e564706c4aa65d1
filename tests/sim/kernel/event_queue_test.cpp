#include "sim/kernel/event_queue.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "sim/kernel/random.hpp"

namespace sextant {
namespace {

std::vector<std::uint64_t> data_in_order(EventQueue queue) {
  std::vector<std::uint64_t> data;
  while (!queue.empty()) data.push_back(queue.pop().data);
  return data;
}

/// The plain thing: a sorted multimap by (time, priority), which keeps equal keys in the order of insertion.
class PlainQueue {
 public:
  void schedule(const Event& event, std::uint8_t priority) {
    events_.emplace(std::pair{event.time.ns, priority}, event);
  }
  Event pop() { return events_.extract(events_.begin()).mapped(); }
  bool empty() const { return events_.empty(); }
  std::size_t size() const { return events_.size(); }

 private:
  std::multimap<std::pair<std::int64_t, std::uint8_t>, Event> events_;
};

/// Random pushes and pops around `size` pending events; `delay` draws the time from now to the event. The two
/// queues must agree on every pop.
template <class Delay>
void expect_same_as_plain(std::size_t size, int operations, Delay delay) {
  RandomStream random(7, "event queue test", size);
  EventQueue queue;
  PlainQueue plain;
  for (int i = 0; i < operations; ++i) {
    const bool push = plain.empty() || random.below(2 * size) >= plain.size();
    if (push) {
      const Event event{queue.now() + delay(random), 1, 2, static_cast<std::uint64_t>(i)};
      const auto priority = static_cast<std::uint8_t>(random.below(3) * 100);
      queue.schedule(event, priority);
      plain.schedule(event, priority);
    } else {
      const Event expected = plain.pop();
      const Event found = queue.pop();
      ASSERT_EQ(found.data, expected.data) << "operation " << i;
      ASSERT_EQ(found.time, expected.time) << "operation " << i;
      ASSERT_EQ(queue.now(), expected.time);
    }
    ASSERT_EQ(queue.size(), plain.size());
  }
  while (!plain.empty()) ASSERT_EQ(queue.pop().data, plain.pop().data);
  EXPECT_TRUE(queue.empty());
}

TEST(EventQueue, OrdersByTimeThenPriorityThenScheduling) {
  EventQueue queue;
  queue.schedule({{20}, 0, 0, 5});
  queue.schedule({{10}, 0, 0, 3}, 200);
  queue.schedule({{10}, 0, 0, 1}, 128);
  queue.schedule({{10}, 0, 0, 2}, 128);
  queue.schedule({{10}, 0, 0, 4}, 200);
  queue.schedule({{10}, 0, 0, 0}, 0);
  EXPECT_EQ(data_in_order(queue), (std::vector<std::uint64_t>{0, 1, 2, 3, 4, 5}));
}

TEST(EventQueue, ReturnsWhatWasScheduledAndCounts) {
  EventQueue queue;
  EXPECT_TRUE(queue.empty());
  queue.schedule({{10}, 11, 12, 13});
  EXPECT_EQ(queue.size(), 1u);
  const Event event = queue.pop();
  EXPECT_EQ(event.time.ns, 10);
  EXPECT_EQ(event.kind, 11u);
  EXPECT_EQ(event.target, 12u);
  EXPECT_EQ(event.data, 13u);
  EXPECT_EQ(queue.now().ns, 10);
  EXPECT_EQ(queue.popped(), 1u);
  EXPECT_TRUE(queue.empty());
}

TEST(EventQueue, RefusesThePastAndAllowsThePresent) {
  EventQueue queue;
  queue.schedule({{10}});
  queue.pop();
  queue.schedule({{10}, 0, 0, 1});
  EXPECT_EQ(queue.pop().data, 1u);
  try {
    queue.schedule({{9}, 3, 4, 0});
    FAIL() << "expected std::logic_error";
  } catch (const std::logic_error& error) {
    EXPECT_STREQ(
        error.what(),
        "event queue: event of kind 3 for target 4 scheduled at 9 ns, expected 10 ns (now) or later");
  }
  EXPECT_TRUE(queue.empty());
}

TEST(EventQueue, HandlesTheEndOfTime) {
  EventQueue queue;
  queue.schedule({Time::max(), 0, 0, 2000});
  for (std::uint64_t i = 0; i < 2000; ++i) queue.schedule({{static_cast<std::int64_t>(i)}, 0, 0, i});
  queue.schedule({Time::max(), 0, 0, 2001});
  const std::vector<std::uint64_t> order = data_in_order(queue);
  ASSERT_EQ(order.size(), 2002u);
  for (std::size_t i = 0; i < order.size(); ++i) ASSERT_EQ(order[i], i);
}

TEST(EventQueue, ACopyHasTheSameFuture) {
  RandomStream random(1, "copy");
  EventQueue queue;
  for (std::uint64_t i = 0; i < 5000; ++i) {
    queue.schedule({queue.now() + Time{static_cast<std::int64_t>(random.below(1'000'000))}, 0, 0, i});
    if (i % 3 == 0) queue.pop();
  }
  EventQueue copy = queue;
  queue.schedule({queue.now(), 0, 0, 9999});
  copy.schedule({copy.now(), 0, 0, 9999});
  EXPECT_EQ(data_in_order(queue), data_in_order(copy));
}

TEST(EventQueue, AgreesWithAMultimapOnExponentialDelays) {
  const auto delay = [](RandomStream& random) { return Time{std::llround(random.exponential(1e6))}; };
  expect_same_as_plain(10, 20'000, delay);
  expect_same_as_plain(300, 30'000, delay);
  expect_same_as_plain(8'000, 100'000, delay);
}

TEST(EventQueue, AgreesWithAMultimapOnTies) {
  expect_same_as_plain(2'000, 30'000,
                       [](RandomStream& random) { return Time{static_cast<std::int64_t>(random.below(3))}; });
  expect_same_as_plain(1'000, 10'000, [](RandomStream&) { return Time{0}; });
}

TEST(EventQueue, AgreesWithAMultimapOnDelaysOfManyMagnitudes) {
  expect_same_as_plain(2'000, 50'000, [](RandomStream& random) {
    return Time{std::llround(std::exp2(58 * random.uniform())) >>
                4};  // 1 ns to half a year and everything between
  });
}

// Sampling every stride-th event sees only the present, so the median says nothing about the rest.
TEST(EventQueue, SurvivesASampleThatMisleads) {
  EventQueue queue;
  PlainQueue plain;
  const int events = 127 * 64;
  for (int i = 0; i < events; ++i) {
    const Event event{{i % 64 == 0 ? 0 : 1'000'000'000LL * i}, 0, 0, static_cast<std::uint64_t>(i)};
    queue.schedule(event);
    plain.schedule(event, 128);
  }
  for (int i = 0; i < events; ++i) ASSERT_EQ(queue.pop().data, plain.pop().data);
  EXPECT_TRUE(queue.empty());
}

}  // namespace
}  // namespace sextant
