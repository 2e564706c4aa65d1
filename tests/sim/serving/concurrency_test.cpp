#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>

#include "tests/sim/serving/toy_run.hpp"

// A rate of arrivals together with max_concurrency: vLLM's client draws the arrivals, and a semaphore lets so
// many requests through at a time.

namespace sextant {
namespace {

Workload bounded(double rate, double burstiness, std::int64_t at_once, std::int64_t requests, double prompt,
                 double output) {
  Workload w;
  w.arrival = burstiness == 1 ? Workload::Arrival::poisson : Workload::Arrival::gamma;
  w.request_rate = rate;
  w.burstiness = burstiness;
  w.max_concurrency = at_once;
  w.num_prompts = requests;
  w.prompt.mean = prompt;
  w.output.mean = output;
  return w;
}

/// When requests were sent and left, and how many were under way at most.
class Watch final : public RunObserver {
 public:
  std::map<std::uint64_t, Time> sent, left;
  std::int64_t under_way = 0, most = 0;
  std::vector<std::uint64_t> order;
  std::set<std::int64_t> leaving_times;

  void arrived(std::uint64_t id, std::uint32_t, Time now) override {
    sent[id] = now;
    order.push_back(id);
    most = std::max(most, ++under_way);
  }
  void finished(const RequestTimes& request) override {
    EXPECT_EQ(request.arrival.ns, sent[request.id].ns);  // latencies count from here
    left[request.id] = request.last_token;
    leaving_times.insert(request.last_token.ns);
    --under_way;
  }
};

// Arrivals at 1, 2, 3 and 4 ms; each takes three steps of 1 ms, one at a time. So they are sent at 1, 4, 7
// and 10 ms; the first token comes 1 ms and the last 3 ms after sending, for each: the wait for the semaphore
// is in no latency. From the first sent to the last token: 13 - 1 = 12 ms.
TEST(BoundedConcurrency, LatenciesCountFromSending) {
  const ServingMetrics m =
      run({}, 1000, engine(), bounded(1000, std::numeric_limits<double>::infinity(), 1, 4, 10, 3));
  EXPECT_EQ(m.finished, 4);
  EXPECT_DOUBLE_EQ(m.ttft.mean, 1);
  EXPECT_DOUBLE_EQ(m.ttft.p99, 1);
  EXPECT_DOUBLE_EQ(m.e2el.p99, 3);
  EXPECT_DOUBLE_EQ(m.duration_s, 0.012);
}

// Never more than so many at once; in order of arrival; and one that was held back is sent at the very
// instant another leaves. Bounds of 1 to 64 at three times what 4 at once can do.
TEST(BoundedConcurrency, SendsInOrderAndWhenOneLeaves) {
  for (const std::int64_t at_once : {1, 2, 4, 17, 64}) {
    Workload free = bounded(3000, 1, 0, 500, 10, 4);
    Watch unbounded, watch;
    ToyPipeline toy;
    SimulationOptions options;
    options.observer = &unbounded;
    simulate({{std::make_shared<ToyPipeline>(toy), 10000}}, engine(), free, options);
    options.observer = &watch;
    free.max_concurrency = at_once;
    const ServingMetrics m = simulate({{std::make_shared<ToyPipeline>(toy), 10000}}, engine(), free, options);
    EXPECT_EQ(m.finished, 500);
    EXPECT_LE(watch.most, at_once);
    EXPECT_TRUE(std::is_sorted(watch.order.begin(), watch.order.end()));
    for (const auto& [id, sent] : watch.sent) {
      EXPECT_GE(sent, unbounded.sent[id]);  // never before it arrives
      EXPECT_TRUE(sent == unbounded.sent[id] || watch.leaving_times.contains(sent.ns)) << id;
    }
  }
}

// A bound that is never reached changes nothing, not even the events.
TEST(BoundedConcurrency, AWideBoundIsNone) {
  const ServingMetrics free = run({}, 10000, engine(), bounded(300, 1, 0, 500, 10, 4));
  const ServingMetrics wide = run({}, 10000, engine(), bounded(300, 1, 500, 500, 10, 4));
  EXPECT_EQ(free.fingerprint, wide.fingerprint);
  EXPECT_EQ(free.ttft.p99, wide.ttft.p99);
}

// Rejected requests (a prompt beyond max_model_len) give their place back.
TEST(BoundedConcurrency, RejectedRequestsFreeTheirPlace) {
  EngineOptions options = engine();
  options.max_model_len = 10;
  const ServingMetrics m = run({}, 1000, options, bounded(1000, 1, 1, 20, 10, 3));
  EXPECT_EQ(m.rejected, 20);
  EXPECT_EQ(m.arrived, 20);
}

// What the client holds back counts as waiting: a bound does not hide that more arrives than is served. Two
// at once, of four steps of 1 ms each and one missed, as a request sent when another's last token comes finds
// the next step of the other one under way: 400 requests/s, of 3000 that arrive.
TEST(BoundedConcurrency, TellsAnOverload) {
  const ServingMetrics m = run({}, 10000, engine(), bounded(3000, 1, 2, 2000, 10, 4));
  ASSERT_TRUE(m.overloaded);
  EXPECT_NEAR(m.overload.capacity, 400, 20);
  EXPECT_NEAR(m.overload.arrival_rate, 3000, 300);
}

}  // namespace
}  // namespace sextant
