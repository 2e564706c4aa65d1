#include "models/cost/sampler_time.hpp"

#include <gtest/gtest.h>

#include "models/base/error.hpp"
#include "tests/models/cost/toy.hpp"

namespace sextant {
namespace {

constexpr double us = 1e-6;

SamplerModel toy_sampler() {
  SamplerModel model;
  model.grade = Grade::fitted;
  model.spread = {0.8, 1.25};
  model.random = {{1, {}, 10, 1, false, 40, 0, "test"}};
  model.filter = {{1, {}, 20, 0, false, 0, 0, "test"},
                  {2, {}, 30, 2, false, 0, 4, "test"},
                  {8, false, 60, 4, true, 0, 0, "test"},
                  {8, true, 15, 3, true, 0, 0, "test"}};
  model.penalties = {{1, {}, 50, 0, false, 200, 0, "test"}};
  return model;
}

// 1,000 words, 10 multiprocessors, a memory of 1,000 GB/s: 1 kB takes a nanosecond.
OperatorTime time_of(SamplingParameters parameters, std::int64_t rows) {
  return sampler_time({toy_sampler(), parameters, 1000, 10}, toy_gpu(), rows);
}

TEST(SamplerTime, GreedyChoicesTakeNothingMore) {
  EXPECT_EQ(time_of({.temperature = 0, .top_p = 0.9, .top_k = 20}, 4).seconds, 0);
  // but penalties change the logits all the same: 50 us + 4 x 1000 x 200 B = 0.8 us.
  EXPECT_NEAR(time_of({.temperature = 0, .repetition_penalty = 1.1}, 4).seconds, 50.8 * us, 1e-12);
}

TEST(SamplerTime, ADrawIsALaunchAScanAndBytes) {
  // 10 us + 1,000 words of 1 ns + 4 x 1000 x 40 B = 0.16 us.
  const OperatorTime time = time_of({}, 4);
  EXPECT_NEAR(time.seconds, 11.16 * us, 1e-12);
  EXPECT_EQ(time.grade, Grade::fitted);
  EXPECT_EQ(time.spread.high, 1.25);
}

TEST(SamplerTime, FiltersDifferByRowsAndByTopK) {
  const auto more = [](SamplingParameters filters, std::int64_t rows) {
    return (time_of(filters, rows).seconds - time_of({}, rows).seconds) / us;
  };
  EXPECT_NEAR(more({.top_p = 0.9}, 1), 20, 1e-9);
  // 30 + 2 us of scans + 3 x 1000 x 4 ns on 10 multiprocessors = 1.2 us, with a top_k or without.
  EXPECT_NEAR(more({.top_p = 0.9}, 3), 33.2, 1e-9);
  EXPECT_NEAR(more({.top_k = 20}, 3), 33.2, 1e-9);
  // From eight rows on each keeps a multiprocessor: 25 rows on 10 are three rounds of 4 us (3 us with a
  // top_k).
  EXPECT_NEAR(more({.top_p = 0.9}, 25), 60 + 3 * 4, 1e-9);
  EXPECT_NEAR(more({.top_p = 0.9, .top_k = 20}, 25), 15 + 3 * 3, 1e-9);
}

TEST(StageCost, SamplesBehindTheHeadAlone) {
  const auto sampler =
      std::make_shared<const SamplerWork>(SamplerWork{toy_sampler(), SamplingParameters{}, 1000, 10});
  const PassShape pass{4, 400, {}, 4};
  const double with = StageCost(toy_stage(), toy_gpu(), nullptr, 1, {}, sampler).cost(pass).total();
  EXPECT_NEAR(with - StageCost(toy_stage(), toy_gpu(), nullptr, 1).cost(pass).total(), 11.16 * us, 1e-12);
  StageOperators inner = toy_stage();
  inner.sample_gemms.clear();
  EXPECT_EQ(StageCost(inner, toy_gpu(), nullptr, 1, {}, sampler).cost(pass).total(),
            StageCost(inner, toy_gpu(), nullptr, 1).cost(pass).total());
}

TEST(ReadSampler, RefusesRowsThatDoNotRise) {
  const auto read = [](const std::string& second) {
    read_sampler(JsonValue::parse(R"({"grade": "fitted", "spread": [1, 1], "random": [], "penalties": [],
      "filter": [{"rows_from": 4, "launch_us": 1, "source": "x"}, {"rows_from": )" +
                                      second + R"(, "launch_us": 1, "source": "x"}]})",
                                  "engine.json"));
  };
  try {
    read("8");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("filter[0]: found rows_from 4, expected 1 in the first"),
              std::string::npos)
        << error.what();
  }
}

}  // namespace
}  // namespace sextant
