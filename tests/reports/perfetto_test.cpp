#include "reports/perfetto.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "sim/serving/simulation.hpp"
#include "tests/sim/serving/toy_pipeline.hpp"

namespace sextant {
namespace {

using Json = nlohmann::json;

/// Two stages with hops, `blocks` blocks of 16 tokens, `requests` requests of 33 + 31 tokens, six at a time.
Json timeline(std::int64_t blocks, std::int64_t requests, std::int64_t most_events,
              std::optional<Time>* cut = nullptr, ServingMetrics* metrics = nullptr) {
  ToyPipeline toy;
  toy.stage_count = 2;
  toy.hop_time = Time{100'500};
  toy.per_prompt_token = Time{1'001};
  EngineOptions engine;
  engine.max_num_batched_tokens = 64;
  engine.max_model_len = 1000;
  Workload workload;
  workload.arrival = Workload::Arrival::concurrency;
  workload.max_concurrency = 6;
  workload.num_prompts = requests;
  workload.prompt.mean = 33;
  workload.output.mean = 31;
  std::string text;
  PerfettoWriter writer([&](std::string_view piece) { text += piece; }, 2, 2, most_events);
  SimulationOptions options;
  options.observer = &writer;
  const auto pipeline = std::make_shared<ToyPipeline>(toy);
  const ServingMetrics result = simulate({{pipeline, blocks}, {pipeline, blocks}}, engine, workload, options);
  writer.finish();
  if (cut != nullptr) *cut = writer.cut_at();
  if (metrics != nullptr) *metrics = result;
  return Json::parse(text);
}

std::int64_t ns(const Json& microseconds) {
  return std::llround(microseconds.get<double>() * 1000);
}

/// Slices of a track may not overlap: Perfetto would drop or misplace them.
void expect_passes_in_a_row(const Json& document) {
  std::map<std::pair<int, int>, std::int64_t> busy_until;
  for (const Json& event : document["traceEvents"]) {
    if (event["ph"] != "X") continue;
    std::int64_t& until = busy_until[{event["pid"], event["tid"]}];
    EXPECT_GE(ns(event["ts"]), until);
    until = ns(event["ts"]) + ns(event["dur"]);
  }
  EXPECT_EQ(busy_until.size(), 4u) << "two replicas of two stages";
}

/// What is opened of a request is closed, the last opened first, and not before it was opened.
void expect_requests_nest(const Json& document, std::size_t requests) {
  std::map<std::int64_t, std::vector<Json>> open;
  for (const Json& event : document["traceEvents"]) {
    if (event["ph"] != "b" && event["ph"] != "e") continue;
    std::vector<Json>& stack = open[event["id"]];
    if (event["ph"] == "b") {
      stack.push_back(event);
      continue;
    }
    ASSERT_FALSE(stack.empty());
    EXPECT_EQ(stack.back()["name"], event["name"]);
    EXPECT_EQ(stack.back()["pid"], event["pid"]);
    EXPECT_LE(ns(stack.back()["ts"]), ns(event["ts"]));
    stack.pop_back();
  }
  EXPECT_EQ(open.size(), requests);
  for (const auto& [id, stack] : open) EXPECT_TRUE(stack.empty()) << "request " << id;
}

// Room for all: 40 requests of 33 + 30 cached tokens, 4 blocks each, three at a time on either replica: at
// most 12 blocks of 100.
TEST(Perfetto, TracksAreWellFormed) {
  std::optional<Time> cut;
  const Json document = timeline(100, 40, 1'000'000, &cut);
  EXPECT_FALSE(cut);
  expect_passes_in_a_row(document);
  expect_requests_nest(document, 40);
  std::int64_t first_tokens = 0, most_blocks = 0;
  for (const Json& event : document["traceEvents"]) {
    first_tokens += event["ph"] == "n" && event["name"] == "first token" ? 1 : 0;
    if (event["ph"] == "C" && event["name"] == "KV blocks used")
      most_blocks = std::max<std::int64_t>(most_blocks, event["args"]["value"]);
  }
  EXPECT_EQ(first_tokens, 40);
  EXPECT_LE(most_blocks, 12);
  EXPECT_GE(most_blocks, 6);
}

// 10 blocks for three requests that enter with 3 and come to need 4 each: some are preempted, and the
// timeline shows each time.
TEST(Perfetto, ShowsPreemptions) {
  ServingMetrics metrics;
  const Json document = timeline(10, 40, 1'000'000, nullptr, &metrics);
  expect_passes_in_a_row(document);
  expect_requests_nest(document, 40);
  std::int64_t preempted = 0;
  for (const Json& event : document["traceEvents"]) preempted += event["name"] == "preempted" ? 1 : 0;
  EXPECT_GT(preempted, 0);
  EXPECT_EQ(preempted, metrics.preemptions);
}

// Cut after 100 events: what is open is closed (two events for each of at most six requests), nothing
// follows.
TEST(Perfetto, IsBoundedAndStillWellFormed) {
  std::optional<Time> cut;
  const Json document = timeline(100, 400, 100, &cut);
  ASSERT_TRUE(cut);
  std::size_t events = 0;
  std::map<std::int64_t, bool> requests;
  for (const Json& event : document["traceEvents"]) {
    events += event["ph"] == "M" ? 0 : 1;
    if (event["ph"] == "b") requests[event["id"]] = true;
    if (event["ph"] != "M" && event["ph"] != "X") {
      EXPECT_LE(ns(event["ts"]), cut->ns);
    }
  }
  EXPECT_LE(events, 100u + 3 + 12);
  expect_requests_nest(document, requests.size());
}

// The observer changes nothing: the same events with and without it.
TEST(Perfetto, ObservingChangesNoResult) {
  ServingMetrics observed, cut;
  timeline(10, 40, 1'000'000, nullptr, &observed);
  timeline(10, 40, 10, nullptr, &cut);
  EXPECT_EQ(observed.fingerprint, cut.fingerprint);
}

}  // namespace
}  // namespace sextant
