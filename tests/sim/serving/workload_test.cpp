#include "sim/serving/workload.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numeric>

#include "models/base/error.hpp"

namespace sextant {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Workload workload(const std::string& json) {
  return read_workload(JsonValue::parse(json, "scenarios/a.json"));
}

/// The keys given, with lengths of 100 and 10 tokens.
Workload with_lengths(const std::string& keys) {
  return workload("{" + keys + R"(, "prompt": {"fixed": 100}, "output": {"fixed": 10}})");
}

std::string error_of(const std::string& json) {
  try {
    workload(json);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

std::string error_with_lengths(const std::string& keys) {
  return error_of("{" + keys + R"(, "prompt": {"fixed": 100}, "output": {"fixed": 10}})");
}

std::vector<Request> all(const Workload& workload, std::uint64_t replication = 0) {
  const auto source = make_request_source(workload, replication);
  std::vector<Request> requests;
  while (const auto request = source->next()) requests.push_back(*request);
  return requests;
}

struct Moments {
  double mean = 0, deviation = 0;
};

Moments moments(const std::vector<double>& values) {
  const double n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / n)};
}

std::vector<double> gaps(const std::vector<Request>& requests) {
  std::vector<double> result;
  Time last;
  for (const Request& request : requests) {
    result.push_back((request.arrival - last).seconds());
    last = request.arrival;
  }
  return result;
}

std::vector<double> outputs(const std::vector<Request>& requests) {
  std::vector<double> result;
  for (const Request& request : requests) result.push_back(static_cast<double>(request.output_tokens));
  return result;
}

TEST(ReadWorkload, OpenLoop) {
  const Workload w =
      workload(R"({"request_rate": 4, "num_prompts": 1000, "prompt": {"fixed": 1024}, "seed": 7,
    "output": {"lognormal": {"mean": 256, "sigma": 0.6, "min": 2, "max": 2048}}})");
  EXPECT_EQ(w.arrival, Workload::Arrival::poisson);
  EXPECT_EQ(w.request_rate, 4);
  EXPECT_EQ(w.num_prompts, 1000);
  EXPECT_EQ(w.seed, 7u);
  EXPECT_EQ(w.prompt.mean, 1024);
  EXPECT_EQ(w.output.kind, LengthDistribution::Kind::lognormal);
  EXPECT_EQ(w.output.mean, 256);
  EXPECT_EQ(w.output.low, 2);
  EXPECT_EQ(w.output.high, 2048);
}

TEST(ReadWorkload, OtherArrivals) {
  EXPECT_EQ(with_lengths(R"("request_rate": 4, "burstiness": 0.25, "num_prompts": 1)").arrival,
            Workload::Arrival::gamma);
  EXPECT_EQ(with_lengths(R"("request_rate": 4, "burstiness": 1, "num_prompts": 1)").arrival,
            Workload::Arrival::poisson);
  EXPECT_TRUE(std::isinf(with_lengths(R"("request_rate": "inf", "num_prompts": 1)").request_rate));
  const Workload closed = with_lengths(R"("max_concurrency": 32, "num_prompts": 1)");
  EXPECT_EQ(closed.arrival, Workload::Arrival::concurrency);
  EXPECT_EQ(closed.max_concurrency, 32);
}

// As vLLM's --request-rate with --max-concurrency: the rate stays, with a bound; all at once and so many at a
// time is a closed loop.
TEST(ReadWorkload, TakesARateWithABoundOnConcurrency) {
  const Workload bounded = with_lengths(R"("request_rate": 4, "max_concurrency": 32, "num_prompts": 1)");
  EXPECT_EQ(bounded.arrival, Workload::Arrival::poisson);
  EXPECT_EQ(bounded.request_rate, 4);
  EXPECT_EQ(bounded.max_concurrency, 32);
  const Workload closed = with_lengths(R"("request_rate": "inf", "max_concurrency": 32, "num_prompts": 1)");
  EXPECT_EQ(closed.arrival, Workload::Arrival::concurrency);
}

// The path is taken from the scenario's folder; without request_rate and max_concurrency the trace's times
// are replayed.
TEST(ReadWorkload, Trace) {
  const Workload w =
      workload(R"({"trace": {"path": "traces/x.csv.gz", "format": "azure"}, "time_scale": 0.5})");
  EXPECT_EQ(w.trace, "scenarios/traces/x.csv.gz");
  EXPECT_EQ(w.trace_format, "azure");
  EXPECT_EQ(w.arrival, Workload::Arrival::trace);
  EXPECT_EQ(w.time_scale, 0.5);
  EXPECT_EQ(w.num_prompts, 0);
  EXPECT_EQ(workload(R"({"trace": {"path": "/x", "format": "azure"}, "request_rate": 2})").arrival,
            Workload::Arrival::poisson);
  EXPECT_EQ(workload(R"({"trace": {"path": "/x", "format": "azure"}})").trace, "/x");
}

TEST(ReadWorkload, RefusesNumbersOutOfRange) {
  EXPECT_THAT(error_with_lengths(R"("request_rate": 0, "num_prompts": 1)"),
              AllOf(HasSubstr("scenarios/a.json: request_rate: found 0"), HasSubstr("above 0")));
  EXPECT_THAT(error_with_lengths(R"("request_rate": -1, "num_prompts": 1)"),
              HasSubstr("request_rate: found -1"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": "fast", "num_prompts": 1)"),
              HasSubstr(R"(found "fast", expected a number or "inf")"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "burstiness": 0, "num_prompts": 1)"),
              HasSubstr("burstiness: found 0"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "num_prompts": 0)"),
              HasSubstr("num_prompts: found 0"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "num_prompts": 1e10)"),
              HasSubstr("num_prompts: found"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "num_prompts": 1.5)"), HasSubstr("whole number"));
  EXPECT_THAT(error_with_lengths(R"("max_concurrency": 0, "num_prompts": 1)"),
              HasSubstr("max_concurrency: found 0"));
}

TEST(ReadWorkload, RefusesKeysThatContradict) {
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "ramp_up_strategy": "linear", "num_prompts": 1)"),
              HasSubstr("found both 'request_rate' and 'ramp_up_strategy'"));
  EXPECT_THAT(error_with_lengths(R"("max_concurrency": 2, "burstiness": 1, "num_prompts": 1)"),
              HasSubstr("burstiness: found no 'request_rate'"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "time_scale": 2, "num_prompts": 1)"),
              HasSubstr("time_scale"));
  EXPECT_THAT(error_with_lengths(R"("trace": {"path": "x", "format": "azure"})"),
              HasSubstr("found both 'trace' and 'prompt'"));
  EXPECT_THAT(error_with_lengths(R"("num_prompts": 1)"),
              HasSubstr("expected one of 'request_rate', 'max_concurrency', 'trace'"));
}

TEST(ReadWorkload, RefusesUnknownKeysWithTheNearest) {
  EXPECT_THAT(error_with_lengths(R"("request_rat": 1, "num_prompts": 1)"),
              HasSubstr("did you mean 'request_rate'"));
  EXPECT_THAT(error_with_lengths(R"("request_rate": 1, "num_prompt": 1)"),
              HasSubstr("did you mean 'num_prompts'"));
  EXPECT_THAT(error_of(R"({"trace": {"path": "x", "format": "azur"}})"), HasSubstr("did you mean 'azure'"));
}

TEST(ReadWorkload, RefusesBadLengths) {
  const auto error = [](const std::string& output) {
    return error_of(R"({"request_rate": 1, "num_prompts": 1, "prompt": {"fixed": 1}, "output": )" + output +
                    "}");
  };
  EXPECT_THAT(error(R"({"fixed": 0})"), HasSubstr("output.fixed: found 0"));
  EXPECT_THAT(error(R"({"fixed": 2e8})"), HasSubstr("output.fixed"));
  EXPECT_THAT(error(R"({})"), HasSubstr("expected exactly one of fixed, lognormal, uniform"));
  EXPECT_THAT(error(R"({"fixde": 3})"), HasSubstr("did you mean 'fixed'"));
  EXPECT_THAT(error(R"({"fixed": 1, "uniform": {"min": 1, "max": 2}})"), HasSubstr("found 2 distributions"));
  EXPECT_THAT(error(R"({"uniform": {"min": 3, "max": 2}})"), HasSubstr("found min 3 above max 2"));
  EXPECT_THAT(error(R"({"lognormal": {"mean": 3, "sigma": -1}})"), HasSubstr("sigma: found -1"));
  EXPECT_THAT(error(R"({"lognormal": {"sigma": 1}})"), HasSubstr("found neither 'mean' and 'median'"));
  EXPECT_THAT(error(R"({"lognormal": {"mean": 3, "median": 3, "sigma": 1}})"), HasSubstr("found both"));
  EXPECT_THAT(error(R"({"lognormal": {"mean": 30, "sigma": 1, "max": 20}})"), HasSubstr("mean: found 30"));
}

// 10,000 exponential gaps of mean 0.25 s: the mean's own deviation is 0.25 / sqrt(10,000) = 0.0025 s, 4 of
// them 0.01 s.
TEST(RequestSource, PoissonRate) {
  const Moments m = moments(gaps(all(with_lengths(R"("request_rate": 4, "num_prompts": 10000)"))));
  EXPECT_NEAR(m.mean, 0.25, 0.01);
  EXPECT_NEAR(m.deviation / m.mean, 1, 0.06);  // coefficient of variation of an exponential
}

// vLLM scales its gaps so that the last of n requests comes at n / rate: 50 / 4 = 12.5 s, 3 / 4 = 0.75 s,
// whatever the seed, the burstiness and the replication. Whole nanoseconds and their carried fraction: within
// 2 ns.
TEST(RequestSource, LastArrivalComesAtCountOverRate) {
  for (const char* keys :
       {R"("request_rate": 4, "num_prompts": 50)", R"("request_rate": 4, "num_prompts": 50, "seed": 9)",
        R"("request_rate": 4, "num_prompts": 50, "burstiness": 0.25)"})
    EXPECT_NEAR(static_cast<double>(all(with_lengths(keys), 3).back().arrival.ns), 12.5e9, 2) << keys;
  const std::vector<Request> three = all(with_lengths(R"("request_rate": 4, "num_prompts": 3)"));
  EXPECT_NEAR(static_cast<double>(three.back().arrival.ns), 0.75e9, 2);
  EXPECT_GT(three.front().arrival.ns, 0) << "the first gap comes before the first request";
}

// Gamma of shape 0.25: coefficient of variation 1 / sqrt(0.25) = 2; of shape 4: 0.5. The mean stays 1 / rate.
// Its own deviation over 40,000 gaps is 2 x 0.25 / 200 = 0.0025 s.
TEST(RequestSource, BurstinessIsTheGammaShape) {
  const Moments bursty =
      moments(gaps(all(with_lengths(R"("request_rate": 4, "burstiness": 0.25, "num_prompts": 40000)"))));
  EXPECT_NEAR(bursty.mean, 0.25, 0.01);
  EXPECT_NEAR(bursty.deviation / bursty.mean, 2, 0.12);
  const Moments even =
      moments(gaps(all(with_lengths(R"("request_rate": 4, "burstiness": 4, "num_prompts": 40000)"))));
  EXPECT_NEAR(even.mean, 0.25, 0.0025);
  EXPECT_NEAR(even.deviation / even.mean, 0.5, 0.02);
}

// Gaps of 2 ns on average: rounding each to a whole nanosecond would shift their mean by 1 % (the mean of a
// rounded exponential is (h/2) / sinh(h/2) of the true one with h = 1/2: 0.9896); carrying the fraction does
// not. The gaps are scaled to end at 1e6 / 5e8 = 2 ms, but not the rounding of each.
TEST(RequestSource, ArrivalsDoNotDrift) {
  const std::vector<Request> requests = all(with_lengths(R"("request_rate": 5e8, "num_prompts": 1000000)"));
  EXPECT_NEAR(static_cast<double>(requests.back().arrival.ns), 2e6, 2);
}

TEST(RequestSource, InfiniteRateAndClosedLoopStartAtZero) {
  for (const char* keys :
       {R"("request_rate": "inf", "num_prompts": 5)", R"("max_concurrency": 2, "num_prompts": 5)",
        R"("request_rate": "inf", "burstiness": 0.5, "num_prompts": 5)"}) {
    const std::vector<Request> requests = all(with_lengths(keys));
    ASSERT_EQ(requests.size(), 5u);
    for (const Request& request : requests) {
      EXPECT_EQ(request.arrival.ns, 0);
      EXPECT_EQ(request.prompt_tokens, 100);
      EXPECT_EQ(request.output_tokens, 10);
    }
  }
}

/// 20,000 outputs drawn from a distribution.
std::vector<double> drawn_outputs(const std::string& distribution) {
  return outputs(
      all(workload(R"({"request_rate": "inf", "num_prompts": 20000, "prompt": {"fixed": 1}, "output": )" +
                   distribution + "}")));
}

// Mean 256 at sigma 0.6: median 256 / exp(0.18) = 213.8; deviation 256 sqrt(exp(0.36) - 1) = 168.5, of the
// mean over 20,000 draws 1.19: 4 of them 4.8. Half of the draws lie below the median: 10,000 +- 4 x 70.7.
TEST(RequestSource, LognormalByItsMean) {
  const std::vector<double> lengths = drawn_outputs(R"({"lognormal": {"mean": 256, "sigma": 0.6}})");
  EXPECT_NEAR(moments(lengths).mean, 256, 4.8);
  const auto below =
      std::count_if(lengths.begin(), lengths.end(), [](double length) { return length < 213.8; });
  EXPECT_NEAR(static_cast<double>(below), 10'000, 283);
}

// Median 100 at sigma 1: mean 100 exp(0.5) = 164.87; deviation 164.87 sqrt(e - 1) = 216.1, of the mean 1.53,
// 4 times 6.1.
TEST(RequestSource, LognormalByItsMedian) {
  EXPECT_NEAR(moments(drawn_outputs(R"({"lognormal": {"median": 100, "sigma": 1}})")).mean, 164.87, 6.1);
}

TEST(RequestSource, LognormalWithoutSpreadIsRounded) {
  for (const double length : drawn_outputs(R"({"lognormal": {"mean": 99.6, "sigma": 0}})"))
    ASSERT_EQ(length, 100);
}

TEST(RequestSource, LengthsAreClamped) {
  const std::vector<double> lengths =
      drawn_outputs(R"({"lognormal": {"mean": 100, "sigma": 2, "min": 50, "max": 200}})");
  EXPECT_EQ(*std::min_element(lengths.begin(), lengths.end()), 50);
  EXPECT_EQ(*std::max_element(lengths.begin(), lengths.end()), 200);
}

// 1 to 5, both included: mean 3, deviation sqrt(2), of the mean over 20,000 draws 0.01, 4 times 0.04.
TEST(RequestSource, UniformIncludesBothEnds) {
  const std::vector<double> lengths = drawn_outputs(R"({"uniform": {"min": 1, "max": 5}})");
  EXPECT_EQ(*std::min_element(lengths.begin(), lengths.end()), 1);
  EXPECT_EQ(*std::max_element(lengths.begin(), lengths.end()), 5);
  EXPECT_NEAR(moments(lengths).mean, 3, 0.04);
}

std::vector<double> arrival_seconds(const std::vector<Request>& requests) {
  std::vector<double> seconds;
  for (const Request& request : requests) seconds.push_back(request.arrival.seconds());
  return seconds;
}

// burstiness "inf": a request every 1 / 4 s.
TEST(RequestSource, ConstantGaps) {
  EXPECT_THAT(
      arrival_seconds(all(with_lengths(R"("request_rate": 4, "burstiness": "inf", "num_prompts": 4)"))),
      testing::ElementsAre(0.25, 0.5, 0.75, 1.0));
}

// Constant gaps of one expected request: 2/s for 2 s give 0.5, 1, 1.5, 2; then a pause of 3 s; then 4/s from
// 5 s on.
TEST(RequestSource, StagesByTheClock) {
  EXPECT_THAT(
      arrival_seconds(all(with_lengths(
          R"("rate_stages": [{"request_rate": 2, "duration_s": 2}, {"request_rate": 0, "duration_s": 3},
             {"request_rate": 4}], "burstiness": "inf", "num_prompts": 6)"))),
      testing::ElementsAre(0.5, 1, 1.5, 2, 5.25, 5.5));
}

// From 0 to 4.25/s within 8.5 s, half a request/s more each second: the n-th request comes when t^2 / 4 = n,
// at t = 2 sqrt(n): 2, 2.828, ... The 18th at 8.485 s is the last: without num_prompts the stages' end is the
// end.
TEST(RequestSource, StagesMayRise) {
  const std::vector<double> seconds = arrival_seconds(all(with_lengths(
      R"("rate_stages": [{"request_rate": 0, "end_rate": 4.25, "duration_s": 8.5}], "burstiness": "inf")")));
  ASSERT_EQ(seconds.size(), 18u);
  for (std::size_t n = 1; n <= 18; ++n)
    EXPECT_NEAR(seconds[n - 1], 2 * std::sqrt(static_cast<double>(n)), 1e-9);
}

// Poisson through stages: 10/s for 1,000 s and 2/s for 1,000 s: 10,000 +- 100 and 2,000 +- 45; 4 deviations.
TEST(RequestSource, PoissonThroughStages) {
  const std::vector<double> seconds = arrival_seconds(all(with_lengths(
      R"("rate_stages": [{"request_rate": 10, "duration_s": 1000}, {"request_rate": 2, "duration_s": 1000}])")));
  const auto first = std::count_if(seconds.begin(), seconds.end(), [](double s) { return s < 1000; });
  EXPECT_NEAR(static_cast<double>(first), 10'000, 400);
  EXPECT_NEAR(static_cast<double>(seconds.size()) - static_cast<double>(first), 2'000, 180);
}

// vLLM's ramp goes by the number of the request: of three, the rates are 1, 2.5 and 4 (linear) or 1, 2 and 4
// (exponential); gaps are 1 / rate.
TEST(RequestSource, RampUpByTheRequest) {
  const std::string ends =
      R"("ramp_up_start_rps": 1, "ramp_up_end_rps": 4, "burstiness": "inf", "num_prompts": 3)";
  EXPECT_THAT(arrival_seconds(all(with_lengths(R"("ramp_up_strategy": "linear", )" + ends))),
              testing::ElementsAre(1, testing::DoubleNear(1.4, 1e-9), testing::DoubleNear(1.65, 1e-9)));
  EXPECT_THAT(arrival_seconds(all(with_lengths(R"("ramp_up_strategy": "exponential", )" + ends))),
              testing::ElementsAre(1, testing::DoubleNear(1.5, 1e-9), testing::DoubleNear(1.75, 1e-9)));
}

TEST(ReadWorkload, RefusesBadStagesAndRamps) {
  EXPECT_THAT(error_with_lengths(R"("rate_stages": [], "num_prompts": 1)"), HasSubstr("found no stage"));
  EXPECT_THAT(
      error_with_lengths(R"("rate_stages": [{"request_rate": 1}, {"request_rate": 2}], "num_prompts": 1)"),
      HasSubstr("rate_stages[0]: found no 'duration_s'"));
  EXPECT_THAT(error_with_lengths(R"("rate_stages": [{"request_rate": 0, "duration_s": 1}])"),
              HasSubstr("found no stage of a rate above 0"));
  EXPECT_THAT(error_with_lengths(R"("rate_stages": [{"request_rate": 1}])"), HasSubstr("num_prompts"));
  EXPECT_THAT(error_with_lengths(R"("ramp_up_strategy": "cubic", "num_prompts": 1)"), HasSubstr("linear"));
  EXPECT_THAT(error_with_lengths(R"("ramp_up_strategy": "linear", "num_prompts": 1)"),
              HasSubstr("ramp_up_start_rps"));
  EXPECT_THAT(error_with_lengths(R"("ramp_up_start_rps": 1, "request_rate": 1, "num_prompts": 1)"),
              HasSubstr("ramp_up_start_rps"));
  EXPECT_THAT(error_of(R"({"trace": {"path": "x", "format": "sharegpt"}, "request_rate": 1})"),
              HasSubstr("characters_per_token"));
  EXPECT_THAT(error_of(R"({"trace": {"path": "x", "format": "sharegpt", "characters_per_token": 4}})"),
              HasSubstr("has no times"));
}

// Two turns of 50 + 10 tokens after a system prompt of 40: prompts of 40 + 50 = 90 and 90 + 10 + 50 = 150.
// Blocks have 16 tokens: 40 / 16 = 2 of them are the system prompt's and shared by both conversations, the
// third holds the conversation's own too. The second turn names at least what the first did: (90 + 10) / 16
// = 6.25, 7 blocks.
TEST(Conversations, TurnsCarryTheirHistory) {
  const auto source = make_request_source(workload(R"({"request_rate": 1, "num_prompts": 3,
    "prompt": {"fixed": 50}, "output": {"fixed": 10},
    "conversations": {"num_turns": {"fixed": 2}, "common_prefix_num_tokens": 40, "think_time_s": {"fixed": 3}}})"));
  const Request first = *source->next(), other = *source->next();
  EXPECT_EQ(first.prompt_tokens, 90);
  EXPECT_EQ(first.prompt_blocks.named_tokens, 100);
  EXPECT_EQ(first.prompt_blocks.hash_block_tokens, 16);
  const auto second = source->following(first.id, true, Time::seconds(20));
  ASSERT_TRUE(second);
  EXPECT_EQ(second->prompt_tokens, 150);
  EXPECT_EQ(second->arrival.ns, Time::seconds(23).ns);
  EXPECT_NE(second->id, first.id);
  for (std::size_t i = 0; i < 7; ++i) {
    EXPECT_EQ((*first.prompt_blocks.names)[i], (*second->prompt_blocks.names)[i]) << i;
    EXPECT_EQ((*first.prompt_blocks.names)[i] == (*other.prompt_blocks.names)[i], i < 2) << i;
  }
  EXPECT_FALSE(source->following(second->id, true, Time::seconds(30))) << "two turns only";
  EXPECT_FALSE(source->following(other.id, true, Time::seconds(30))) << "num_prompts is 3";
}

TEST(Conversations, EndWhereATurnIsRejected) {
  const auto source = make_request_source(workload(R"({"max_concurrency": 1, "num_prompts": 9,
    "prompt": {"fixed": 50}, "output": {"fixed": 10}, "conversations": {"num_turns": {"fixed": 3}}})"));
  EXPECT_FALSE(source->following(source->next()->id, false, {}));
}

// Starts come at 12 requests/s / 4 turns = 3/s: 2,000 of them take 667 s; deviation 667 / sqrt(2,000) = 15, 4
// times 60.
TEST(Conversations, RequestRateIsOfRequests) {
  const auto source = make_request_source(workload(R"({"request_rate": 12, "num_prompts": 100000,
    "prompt": {"fixed": 50}, "output": {"fixed": 10}, "conversations": {"num_turns": {"fixed": 4}}})"));
  Time last;
  for (int i = 0; i < 2000; ++i) last = source->next()->arrival;
  EXPECT_NEAR(last.seconds(), 667, 60);
}

/// A file of joint lengths, gone when the test ends.
class LengthsFile {
 public:
  explicit LengthsFile(const std::string& text)
      : path(testing::TempDir() + "sextant_lengths_" + std::to_string(getpid())) {
    std::ofstream(path) << text;
  }
  ~LengthsFile() { std::filesystem::remove(path); }
  const std::string path;
};

// Half of the prompts have 100 to 200 tokens and outputs of 10, half 200 to 400 and outputs of 20 to 40:
// means are (150 + 300) / 2 = 225 and (10 + 30) / 2 = 20. Every short prompt has a short output.
TEST(JointLengths, PromptAndOutputBelongTogether) {
  const LengthsFile file(
      R"({"source": "a test", "prompt": {"probability": [0, 0.5, 1], "tokens": [100, 200, 400]},
    "output": {"probability": [0, 1], "tokens": [[10, 10], [20, 40]]}})");
  const Workload w =
      workload(R"({"request_rate": "inf", "num_prompts": 20000, "lengths": ")" + file.path + "\"}");
  EXPECT_DOUBLE_EQ(w.prompt.mean, 225);
  EXPECT_DOUBLE_EQ(w.output.mean, 20);
  double prompts = 0;
  for (const Request& request : all(w)) {
    prompts += static_cast<double>(request.prompt_tokens) / 20'000;
    const bool is_short = request.output_tokens == 10;
    EXPECT_TRUE(is_short ? request.prompt_tokens <= 200 : request.prompt_tokens >= 200);
    EXPECT_TRUE(is_short || (request.output_tokens >= 20 && request.output_tokens <= 40));
  }
  // Variance: 1/2 (100^2 + 200^2) / 12 within the halves, 75^2 between them: 88^2; of the mean 0.62, 4
  // times 2.5.
  EXPECT_NEAR(prompts, 225, 2.5);
}

TEST(JointLengths, BadFiles) {
  const auto error = [](const std::string& prompt, const std::string& output) {
    const LengthsFile file(R"({"source": "a test", "prompt": )" + prompt + R"(, "output": )" + output + "}");
    return error_of(R"({"request_rate": 1, "num_prompts": 1, "lengths": ")" + file.path + "\"}");
  };
  const std::string good = R"({"probability": [0, 1], "tokens": [1, 2]})";
  const std::string rows = R"({"probability": [0, 1], "tokens": [[1, 2]]})";
  EXPECT_EQ(error(good, rows), "no error");
  EXPECT_THAT(error(R"({"probability": [0, 0.9], "tokens": [1, 2]})", rows), HasSubstr("from 0 to 1"));
  EXPECT_THAT(error(R"({"probability": [0, 0.5, 0.5, 1], "tokens": [1, 2, 3, 4]})", rows),
              HasSubstr("rising"));
  EXPECT_THAT(error(R"({"probability": [0, 1], "tokens": [1, 2, 3]})", rows), HasSubstr("found 3 quantiles"));
  EXPECT_THAT(error(R"({"probability": [0, 1], "tokens": [2, 1]})", rows), HasSubstr("do not fall"));
  EXPECT_THAT(error(R"({"probability": [0, 1], "tokens": [0, 1]})", rows), HasSubstr("tokens"));
  EXPECT_THAT(error(good, R"({"probability": [0, 1], "tokens": [[1, 2], [1, 2]]})"),
              HasSubstr("found 2 rows"));
}

// Streams are named: another arrival process leaves the lengths as they were; another replication or seed
// changes all.
TEST(RequestSource, StreamsAreIndependent) {
  const std::string lengths = R"("num_prompts": 100, "prompt": {"uniform": {"min": 1, "max": 100000}},
    "output": {"uniform": {"min": 1, "max": 100000}}})";
  const Workload poisson = workload(R"({"request_rate": 4, )" + lengths);
  const Workload bursty = workload(R"({"request_rate": 9, "burstiness": 0.3, )" + lengths);
  const Workload reseeded = workload(R"({"request_rate": 4, "seed": 1, )" + lengths);
  EXPECT_EQ(outputs(all(poisson)), outputs(all(bursty)));
  EXPECT_NE(gaps(all(poisson)), gaps(all(bursty)));
  EXPECT_EQ(gaps(all(poisson)), gaps(all(poisson)));
  EXPECT_NE(outputs(all(poisson)), outputs(all(poisson, 1)));
  EXPECT_NE(gaps(all(poisson)), gaps(all(poisson, 1)));
  EXPECT_NE(outputs(all(poisson)), outputs(all(reseeded)));
}

}  // namespace
}  // namespace sextant
