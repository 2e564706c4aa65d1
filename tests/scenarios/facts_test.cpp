// What the sources say of these clusters, stated by hand, against plans made with the shipped profiles.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "models/base/error.hpp"
#include "sim/planner/plan.hpp"

namespace sextant {
namespace {

const std::string source = SEXTANT_SOURCE_DIR;
constexpr double GB = 1e9;

struct Planned {
  JsonValue document;
  Scenario scenario;
  Plan plan;
  std::vector<VariantResult> variants;
};

Planned planned(const std::string& name,
                const std::vector<std::pair<std::string, std::string>>& changes = {}) {
  unsetenv("SEXTANT_PROFILES");
  const JsonValue document = with_changes(JsonValue::read(source + "/scenarios/" + name + ".json"), changes);
  Scenario scenario = read_scenario(document);
  PlanOptions options;
  options.intervals = false;
  Plan plan = make_plan(scenario, options);
  auto variants = plan_variants(document, scenario, plan, options);
  return {document, std::move(scenario), std::move(plan), std::move(variants)};
}

const Rejection* rejection(const Plan& plan, const std::string& layout) {
  for (const Rejection& r : plan.rejections)
    if (r.layout == layout) return &r;
  return nullptr;
}

const VariantResult& variant(const Planned& p, const std::string& name) {
  for (const VariantResult& v : p.variants)
    if (v.name == name) return v;
  throw std::logic_error("no variant " + name);
}

class Part1 : public testing::Test {
 protected:
  static void SetUpTestSuite() { part1 = new Planned(planned("part1-405b")); }
  static void TearDownTestSuite() { delete part1; }
  static const Plan& plan() { return part1->plan; }
  static const Candidate& best() { return part1->plan.candidates.front(); }
  static inline Planned* part1 = nullptr;
};

// 128 heads / 3 is not whole; half of 217.1 GB is 108.6 on a card of 97,887 MiB = 102.6e9 B.
TEST_F(Part1, RejectsWhatCannotBe) {
  ASSERT_NE(rejection(plan(), "tp 3"), nullptr);
  EXPECT_EQ(rejection(plan(), "tp 3")->reason, "128 attention heads are not divisible by 3");
  ASSERT_NE(rejection(plan(), "pp 2"), nullptr);
  EXPECT_NE(rejection(plan(), "pp 2")->reason.find("of weights, the GPU has 102.6"), std::string::npos);
  EXPECT_NE(rejection(plan(), "tp 2"), nullptr);
}

// Three stages near 42 layers; 126 x 1.656 GB of layers + 2 x 4.2 GB of embedding and head = 217.1 GB: about
// 72 GB a GPU.
TEST_F(Part1, HoldsThreeStagesOfAbout72GB) {
  EXPECT_EQ(best().layout.pp, 3);
  EXPECT_EQ(best().layout.tp, 1);
  double total = 0;
  for (const StageReport& stage : best().stages) {
    total += stage.memory.budget.weights / GB;
    EXPECT_NEAR(stage.memory.budget.weights / GB, 72.4, 2.5);
    EXPECT_NEAR(stage.layers.size(), 42, 1);
  }
  EXPECT_NEAR(total, 217.1, 0.1);
}

// What is left of 0.9 x 102.6 = 92.4 GB beside 73.8 GB of weights and a few GB for the engine, at 172,032 B a
// token.
TEST_F(Part1, CachesSomeTensOfThousandsOfTokens) {
  EXPECT_GT(best().kv_tokens, 70'000);
  EXPECT_LT(best().kv_tokens, 110'000);
}

// A stage streams 69.6 GB of 4-bit weights at 0.55-0.9 of some 1,500-1,700 GB/s: 45 to 85 ms; a hop of 32
// tokens x 64 KiB is 2.1 MB, at 23 GB/s 0.09 ms and the latency; a 2,048-token chunk's 134 MB take about 6
// ms, its arithmetic (2 x 2048 x 133.9e9 = 548 TFLOP) about 1.3-2.5 s.
TEST_F(Part1, PassesAndHopsAreOfTheExpectedSize) {
  for (const StageReport& stage : best().stages) {
    EXPECT_GT(stage.decode_pass_ms, 40);
    EXPECT_LT(stage.decode_pass_ms, 90);
    EXPECT_GT(stage.chunk_pass_ms, 1200);
    EXPECT_LT(stage.chunk_pass_ms, 2600);
  }
  double slowest_decode_hop = 0, slowest_chunk_hop = 0;
  for (const StageReport& stage : best().stages) {
    slowest_decode_hop = std::max(slowest_decode_hop, stage.decode_hop_ms);
    slowest_chunk_hop = std::max(slowest_chunk_hop, stage.chunk_hop_ms);
  }
  EXPECT_NEAR(slowest_decode_hop, 0.1, 0.05);
  EXPECT_NEAR(slowest_chunk_hop, 6, 1);
}

// A chunk of 2,048 tokens holds a stage for 1.8 s while another batch's decodes need 0.07 s: the batches
// behind it wait, and the stages after it idle. Of each stage's time 0.55 requests/s x 512 tokens x 1.77 s /
// 2048 = 24 % are prefill and 4.9 steps/s x 70 ms = 35 % decode; about 40 % is bubble. Smaller chunks make
// batches more alike: the bubble must shrink.
TEST_F(Part1, LongChunksMakeBubblesAndShortOnesFewer) {
  const Candidate& short_steps = variant(*part1, "steps of 512 tokens").plan->candidates.front();
  for (std::size_t s = 0; s < 3; ++s) {
    EXPECT_NEAR(best().stages[s].shares.bubble, 0.41, 0.1);
    EXPECT_LT(short_steps.stages[s].shares.bubble, best().stages[s].shares.bubble - 0.05);
  }
  EXPECT_GT(short_steps.metrics.output_throughput, 1.1 * best().metrics.output_throughput);
  // A single user's token passes three stages one after another: two thirds of each stage's time is bubble.
  const Candidate& alone = variant(*part1, "one user alone").plan->candidates.front();
  for (const StageReport& stage : alone.stages) EXPECT_NEAR(stage.shares.bubble, 0.667, 0.03);
}

// Hops weigh little in a decode step (0.1 of some 70 ms each) and in a chunk (6 of 1,900 ms each): the plan
// says both, and draws no conclusion about faster links from one of them.
TEST_F(Part1, HopsAreWeighedInDecodesAndInChunks) {
  const auto reason = std::find_if(plan().reasons.begin(), plan().reasons.end(), [](const std::string& text) {
    return text.starts_with("the hops between stages take ");
  });
  ASSERT_NE(reason, plan().reasons.end());
  EXPECT_NE(reason->find("of a prompt chunk of 2,048 tokens"), std::string::npos) << *reason;
  EXPECT_EQ(reason->find("no more"), std::string::npos) << *reason;
}

// 400G cannot save more than the hops: under 0.5 % of throughput for this layout.
TEST(Part3, FasterLinksBuyNothing) {
  const Planned p = planned("part3-400g");
  const double base = p.plan.candidates.front().metrics.output_throughput;
  const double faster = variant(p, "400G").plan->candidates.front().metrics.output_throughput;
  EXPECT_NEAR(100 * (faster / base - 1), 0, 0.5);
  EXPECT_NE(variant(p, "400G").verdict.find("nothing anyone would notice"), std::string::npos);
  const double long_base =
      variant(p, "200G, long prompts").plan->candidates.front().metrics.output_throughput;
  const double long_faster =
      variant(p, "400G, long prompts").plan->candidates.front().metrics.output_throughput;
  EXPECT_NEAR(100 * (long_faster / long_base - 1), 0, 0.5);
}

// Streaming weights hardly cares for the clock, prefill does: the mixed cluster lies between all-Workstation
// and all-Max-Q.
TEST(Part4, MixedLiesBetween) {
  const Planned p = planned("part4-max-q");
  const double mixed = p.plan.candidates.front().metrics.output_throughput;
  const double full =
      variant(p, "three Workstation cards").plan->candidates.front().metrics.output_throughput;
  const double max_q = variant(p, "three Max-Q cards").plan->candidates.front().metrics.output_throughput;
  const double even = variant(p, "mixed, even split").plan->candidates.front().metrics.output_throughput;
  EXPECT_LE(mixed, full * 1.001);
  EXPECT_GE(mixed, max_q * 0.999);
  EXPECT_GE(mixed, even * 0.999);
}

// 141 GB fit neither on 102.6 GB nor on the Spark. Tensor parallel streams half of it, 70.5 GB, on the Spark
// for all 8 requests: at some 250 GB/s 280 ms, 28 tokens/s at best. Pipeline parallel with 30 layers (51 GB)
// there streams them for each batch of 4: 205 ms, 19 tokens/s. So tensor parallel leads even over a staged
// 100G link, and a pipeline gives the faster card more layers.
TEST(SparkAndWorkstation, NeedsBothAndWeighsThem) {
  const Planned p = planned("spark-and-workstation");
  EXPECT_EQ(p.plan.candidates.front().layout.tp, 2);
  EXPECT_EQ(p.plan.candidates.front().stages[0].gpu, "rtx-pro-6000-workstation + dgx-spark-gb10");
  EXPECT_NEAR(p.plan.candidates.front().metrics.output_throughput, 25, 4);
  ASSERT_NE(rejection(p.plan, "pp 1"), nullptr);
  for (const Candidate& candidate : p.plan.candidates) {
    if (candidate.layout.pp != 2) continue;
    EXPECT_NEAR(candidate.metrics.output_throughput, 18, 3);
    for (const StageReport& stage : candidate.stages)
      EXPECT_EQ(stage.layers.size() > 40, stage.gpu == "rtx-pro-6000-workstation") << stage.gpu;
    break;  // the best pipeline
  }
}

// A model that nothing holds: exit code 3 with the smallest shortfall.
TEST(Infeasible, NamesTheNearestAndItsShortfall) {
  try {
    planned("part1-405b", {{"model.weights", "bf16"}});
    FAIL() << "811.7 GB cannot fit on three cards";
  } catch (const InfeasibleError& error) {
    EXPECT_NE(std::string(error.what()).find("nearest is pp 3"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("GB short"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace sextant
