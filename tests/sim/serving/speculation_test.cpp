#include "sim/serving/speculation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "sim/serving/replica_model.hpp"
#include "tests/sim/serving/toy_run.hpp"

namespace sextant {
namespace {

using testing::HasSubstr;

Speculation speculation(std::int64_t tokens, double rate,
                        Speculation::Method method = Speculation::Method::ngram) {
  return {method, tokens, std::vector<double>(static_cast<std::size_t>(tokens), rate), ""};
}

EngineOptions speculating(Speculation speculation, std::int64_t seqs = 256, std::int64_t tokens = 8192) {
  EngineOptions options = engine(seqs, tokens);
  options.speculation = std::move(speculation);
  return options;
}

/// Steps of 1 ms and 0.1 ms for each token that a decode computes.
ToyPipeline toy() {
  ToyPipeline toy;
  toy.per_decode = Time{100'000};
  return toy;
}

// Nothing is accepted: a token a step, as without speculation, in steps of 1 + 4 x 0.1 ms. The prompt's 1 ms,
// then four of 1.4: 6.6 ms.
TEST(Speculation, WithoutLuckIsThePlainRhythmInCostlierSteps) {
  const ServingMetrics m = run(toy(), 1000, speculating(speculation(3, 0)), closed_loop(1, 1, 10, 5));
  EXPECT_EQ(m.steps, 5);
  EXPECT_DOUBLE_EQ(m.ttft.mean, 1);
  EXPECT_DOUBLE_EQ(m.itl.mean, 1.4);
  EXPECT_DOUBLE_EQ(m.tpot.mean, 1.4);
  EXPECT_DOUBLE_EQ(m.e2el.mean, 6.6);
  EXPECT_EQ(m.speculation.drafts, 4);
  EXPECT_EQ(m.speculation.draft_tokens, 12);
  EXPECT_EQ(m.speculation.accepted_tokens, 0);

  ToyPipeline costlier = toy();
  costlier.per_decode = Time{400'000};
  const Workload many = closed_loop(20, 300, 40, 30);
  const ServingMetrics without = run(costlier, 1000, engine(), many);
  const ServingMetrics with = run(toy(), 1000, speculating(speculation(3, 0)), many);
  EXPECT_EQ(with.steps, without.steps);
  EXPECT_EQ(with.e2el.p99, without.e2el.p99);
  EXPECT_EQ(with.itl.mean, without.itl.mean);
}

// All is accepted: four tokens a step. The prompt yields one, three steps of 1.4 ms yield twelve: 13 tokens,
// or the first 12 of them. A step's tokens come at once: a gap of 1.4 ms each, and 4.2 / 12 ms a token.
TEST(Speculation, WithAllLuckYieldsAllItsTokensEachStep) {
  for (const std::int64_t output : {13, 12}) {
    const ServingMetrics m =
        run(toy(), 1000, speculating(speculation(3, 1)), closed_loop(1, 1, 10, static_cast<double>(output)));
    EXPECT_EQ(m.steps, 4);
    EXPECT_EQ(m.output_tokens, output);
    EXPECT_DOUBLE_EQ(m.e2el.mean, 5.2);
    EXPECT_DOUBLE_EQ(m.itl.mean, 1.4);
    EXPECT_NEAR(m.tpot.mean, 4.2 / static_cast<double>(output - 1), 1e-6);
    EXPECT_DOUBLE_EQ(m.speculation.acceptance_length(), 4);
  }
}

// One rate a: 1 + a + a^2 + .. + a^k = (1 - a^(k + 1)) / (1 - a) tokens a step; 0.7 and 4: 2.7731. Some
// 36,000 steps of a spread of 1.6 tokens: the mean is good to 0.3 %. A rate for each place: always one of
// two.
TEST(Speculation, YieldsTheExpectedTokens) {
  const Speculation four = speculation(4, 0.7);
  EXPECT_NEAR(four.expected_tokens(), (1 - 0.16807) / 0.3, 1e-12);
  const ServingMetrics m = run(toy(), 10000, speculating(four), closed_loop(10, 200, 10, 501));
  EXPECT_NEAR(m.speculation.acceptance_length(), 2.7731, 0.01 * 2.7731);
  const Speculation one_of_two{Speculation::Method::ngram, 2, {1, 0}, ""};
  EXPECT_DOUBLE_EQ(one_of_two.expected_tokens(), 2);
  EXPECT_DOUBLE_EQ(
      run(toy(), 10000, speculating(one_of_two), closed_loop(3, 30, 10, 100)).speculation.acceptance_length(),
      2);
}

// A prompt of 10 tokens in blocks of 16. Its first decode with three n-gram tokens needs slots for 10 + 4:
// one block. An eagle's tokens are written a second time: 10 + 4 + 3 = 17, two blocks.
TEST(Speculation, ReservesSlotsAsTheEngineDoes) {
  const Workload one = closed_loop(1, 1, 10, 2);
  EXPECT_DOUBLE_EQ(run(toy(), 2, speculating(speculation(3, 1)), one).kv_occupancy_peak, 0.5);
  const EngineOptions eagle = speculating(speculation(3, 1, Speculation::Method::eagle));
  EXPECT_DOUBLE_EQ(run(toy(), 2, eagle, one).kv_occupancy_peak, 1);
  EXPECT_EQ(run(toy(), 1, eagle, one).rejected, 1);
  EXPECT_EQ(run(toy(), 1, speculating(speculation(3, 1)), one).finished, 1);
  EngineOptions short_model = eagle;  // no slots beyond the longest sequence there can be
  short_model.max_model_len = 16;
  EXPECT_DOUBLE_EQ(run(toy(), 2, short_model, one).kv_occupancy_peak, 0.5);
}

// A budget of 8 tokens: step 1 takes a prompt of 8; in step 2 its decode computes 4, so that of another
// prompt of 7 tokens 4 fit and the rest come in step 3: first tokens after 1 and 3 ms (n-grams and passes
// without a price for decodes). Without speculation 7 fit beside it, first tokens after 1 and 2 ms.
TEST(Speculation, CountsAgainstTheTokenBudget) {
  const Workload two = these({{{}, 8, 9, {}, 0, 0}, {{}, 7, 9, {}, 0, 0}});
  EXPECT_DOUBLE_EQ(run({}, 1000, speculating(speculation(3, 0), 2, 8), two).ttft.mean, 2);
  EXPECT_DOUBLE_EQ(run({}, 1000, engine(2, 8), two).ttft.mean, 1.5);
}

// Draws belong to places in requests: the same whatever else runs, and so after a preemption too.
TEST(AcceptanceDraws, BelongToPlacesInRequests) {
  const AcceptanceDraws draws(speculation(3, 0.5), 1, 0), again(speculation(3, 0.5), 1, 0),
      other(speculation(3, 0.5), 2, 0);
  int different = 0;
  for (std::uint64_t request = 0; request < 100; ++request) {
    EXPECT_EQ(draws.accepted(request, 7), again.accepted(request, 7));
    different += draws.accepted(request, 7) != other.accepted(request, 7) ? 1 : 0;
  }
  EXPECT_GT(different, 30);
}

struct Case {
  int stages;
  std::int64_t blocks, seqs, tokens, clients;
  double rate;
  bool preempts, async, priorities;
};

class SpeculationFastAndPlain : public testing::TestWithParam<Case> {};

TEST_P(SpeculationFastAndPlain, AgreeBitByBit) {
  const Case& c = GetParam();
  EngineOptions options = speculating(speculation(3, 0.6, Speculation::Method::eagle), c.seqs, c.tokens);
  options.async_scheduling = c.async;
  options.scheduling_policy = c.priorities ? SchedulingPolicy::priority : SchedulingPolicy::fcfs;
  ToyPipeline toy;
  toy.stage_count = c.stages;
  toy.per_prompt_token = Time{1'003};
  toy.per_decode = Time{7'001};
  toy.hop_time = Time{20'011};
  Workload w = closed_loop(c.clients, 1000, 200, 60);
  w.prompt = {LengthDistribution::Kind::lognormal, 200, 0.8, 1, 3000};
  w.output = {LengthDistribution::Kind::lognormal, 60, 0.9, 1, 800};
  if (c.rate > 0) w.arrival = Workload::Arrival::poisson;
  w.request_rate = c.rate;
  const ServingMetrics fast = run(toy, c.blocks, options, w, false);
  const ServingMetrics plain = run(toy, c.blocks, options, w, true);
  EXPECT_EQ(fast.arrived, 1000);
  EXPECT_EQ(fast.finished + fast.rejected, 1000);
  EXPECT_EQ(fast.preemptions > 0, c.preempts);
  EXPECT_EQ(fast.fingerprint, plain.fingerprint);
  EXPECT_EQ(fast.itl.mean, plain.itl.mean);
  EXPECT_EQ(fast.e2el.p99, plain.e2el.p99);
  EXPECT_EQ(fast.kv_occupancy_mean, plain.kv_occupancy_mean);
  EXPECT_EQ(fast.speculation.accepted_tokens, plain.speculation.accepted_tokens);
  EXPECT_LE(fast.kv_occupancy_peak, 1.0);
}

INSTANTIATE_TEST_SUITE_P(Cases, SpeculationFastAndPlain,
                         testing::Values(Case{1, 100000, 256, 2048, 32, 0, false, false, false},
                                         Case{1, 300, 128, 512, 64, 0, true, true, false},
                                         Case{3, 300, 64, 256, 48, 0, true, false, true},
                                         Case{3, 5000, 64, 2048, 40, 30, false, false, false},
                                         Case{2, 250, 16, 128, 64, 200, true, false, false}));

Speculation read(const std::string& text) {
  return read_speculation(JsonValue::parse(text, "scenario.json"));
}

std::string error_of(const std::string& text) {
  try {
    read(text);
  } catch (const InputError& error) {
    return error.what();
  }
  return "no error";
}

TEST(ReadSpeculation, TakesVllmsNames) {
  const Speculation s = read(R"({"method": "draft_model", "model": "llama-3.1-8b",
                                 "num_speculative_tokens": 2, "acceptance_rate": [0.8, 0.6]})");
  EXPECT_EQ(s.method, Speculation::Method::draft_model);
  EXPECT_EQ(s.tokens_per_decode(), 3);
  EXPECT_EQ(s.reserved_tokens(), 5);
  EXPECT_DOUBLE_EQ(s.expected_tokens(), 1 + 0.8 + 0.48);
}

TEST(ReadSpeculation, RefusesWhatMakesNoSense) {
  EXPECT_THAT(error_of(R"({"method": "egle", "num_speculative_tokens": 2, "acceptance_rate": 0.5})"),
              HasSubstr("did you mean 'eagle'"));
  EXPECT_THAT(error_of(R"({"method": "eagle", "num_speculative_tokens": 0, "acceptance_rate": 0.5})"),
              HasSubstr("num_speculative_tokens: found 0"));
  EXPECT_THAT(error_of(R"({"method": "eagle", "num_speculative_tokens": 2, "acceptance_rate": 1.5})"),
              HasSubstr("acceptance_rate: found 1.5"));
  EXPECT_THAT(error_of(R"({"method": "eagle", "num_speculative_tokens": 2, "acceptance_rate": [0.5]})"),
              HasSubstr("found 1 rates, expected one number, or one for each of 2"));
  EXPECT_THAT(error_of(R"({"method": "eagle", "num_speculative_tokens": 2})"), HasSubstr("acceptance_rate"));
  EXPECT_THAT(error_of(R"({"method": "draft_model", "num_speculative_tokens": 2, "acceptance_rate": 0})"),
              HasSubstr("model"));
  EXPECT_THAT(error_of(R"({"method": "mtp", "model": "llama-3.1-8b", "num_speculative_tokens": 1,
                           "acceptance_rate": 0.5})"),
              HasSubstr("expected it with draft_model only"));
}

}  // namespace
}  // namespace sextant
