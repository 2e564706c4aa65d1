#include "reports/launch/engine_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/reports/example_plan.hpp"

namespace sextant {
namespace {

using testing::Contains;
using testing::HasSubstr;

// vLLM's own options, by its names; an eagle's checkpoint is nothing the scenario knows.
TEST(EngineWords, SayWhatIsSpeculatedAndOffloaded) {
  Scenario scenario = test::example_scenario();
  const Layout layout = test::example_candidate().layout;
  EXPECT_THAT(engine_words(ServingEngine::vllm, scenario, layout),
              testing::Not(Contains("--speculative-config")));
  scenario.engine.kv_offloading_gib = 64;
  scenario.engine.speculation = Speculation{Speculation::Method::eagle, 3, {1, 1, 1}, ""};
  const auto words = engine_words(ServingEngine::vllm, scenario, layout);
  EXPECT_THAT(words, Contains(R"({"method": "eagle", "num_speculative_tokens": 3})"));
  EXPECT_THAT(words, Contains("64"));
  EXPECT_THAT(engine_notes(ServingEngine::vllm, scenario, layout), Contains(HasSubstr("eagle head")));
  EXPECT_THAT(engine_notes(ServingEngine::vllm, scenario, layout), Contains(HasSubstr("takes 4 tokens")));
  scenario.engine.speculation = Speculation{Speculation::Method::draft_model, 1, {1}, "llama-3.1-8b"};
  EXPECT_THAT(engine_words(ServingEngine::vllm, scenario, layout),
              Contains(HasSubstr(R"("model": "meta-llama/)")));
  EXPECT_THAT(engine_notes(ServingEngine::sglang, scenario, layout), Contains(HasSubstr("none of SGLang's")));
}

// Each option that the scenario sets away from the engine's own default is said, or that it cannot be.
TEST(EngineWords, SayHowItSchedules) {
  Scenario scenario = test::example_scenario();
  const Layout layout = test::example_candidate().layout;
  const auto vllm = [&] { return engine_words(ServingEngine::vllm, scenario, layout); };
  const auto notes = [&](ServingEngine engine) { return engine_notes(engine, scenario, layout); };
  for (const char* word : {"--scheduling-policy", "--no-enable-prefix-caching",
                           "--long-prefill-token-threshold", "--disable-hybrid-kv-cache-manager"})
    EXPECT_THAT(vllm(), testing::Not(Contains(word)));
  EXPECT_THAT(notes(ServingEngine::vllm), testing::Not(Contains(HasSubstr("preempts none"))));
  scenario.engine.scheduling_policy = SchedulingPolicy::priority;
  scenario.engine.enable_prefix_caching = false;
  scenario.engine.long_prefill_token_threshold = 512;
  scenario.engine.disable_hybrid_kv_cache_manager = true;
  scenario.engine.guaranteed_no_evict = true;
  scenario.engine.max_num_seqs_per_batch = true;
  scenario.workload.priorities = {{1, 0.5}, {0, 0.5}};
  const auto words = vllm();
  for (const char* word : {"--scheduling-policy", "priority", "--no-enable-prefix-caching",
                           "--long-prefill-token-threshold", "512", "--disable-hybrid-kv-cache-manager"})
    EXPECT_THAT(words, Contains(word));
  EXPECT_THAT(engine_words(ServingEngine::sglang, scenario, layout), Contains("--disable-radix-cache"));
  for (const ServingEngine engine : {ServingEngine::vllm, ServingEngine::sglang}) {
    EXPECT_THAT(notes(engine), Contains(HasSubstr("preempts none")));
    EXPECT_THAT(notes(engine), Contains(HasSubstr("of each batch of a pipeline")));
    EXPECT_THAT(notes(engine), Contains(HasSubstr("have priorities")));
  }
  EXPECT_THAT(notes(ServingEngine::sglang), Contains(HasSubstr("by priority")));
  EXPECT_THAT(notes(ServingEngine::sglang), Contains(HasSubstr("no counterpart")));
}

// As planned: only a replica of one stage schedules ahead, and vLLM refuses to be told so where Ray joins
// nodes.
TEST(EngineWords, ScheduleAheadAsPlanned) {
  Scenario scenario = test::example_scenario();
  const auto words = [&](const Layout& layout) {
    return engine_words(ServingEngine::vllm, scenario, layout);
  };
  const Layout stages = test::example_candidate().layout;
  const Layout one{1, 1, 1, {{{{0, 126}, {0}}}}}, nodes{2, 1, 1, {{{{0, 126}, {0, 1}}}}};
  scenario.engine.async_scheduling = true;
  EXPECT_THAT(words(stages), Contains("--no-async-scheduling"));
  EXPECT_THAT(words(one), Contains("--async-scheduling"));
  EXPECT_THAT(words(nodes), testing::Not(Contains(HasSubstr("async-scheduling"))));
  EXPECT_THAT(engine_notes(ServingEngine::vllm, scenario, nodes),
              Contains(HasSubstr("schedules a step ahead")));
  scenario.engine.async_scheduling = false;
  for (const Layout& layout : {stages, one, nodes})
    EXPECT_THAT(words(layout), Contains("--no-async-scheduling"));
}

bool holds(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

// vllm serve takes a switch, SGLang a degree (--ep-size); neither is said where experts are cut in width.
TEST(EngineWords, AskForExpertParallel) {
  Scenario scenario;
  scenario.model.kv = {"bf16", 2};
  Layout layout{4, 1, 1, {}};
  EXPECT_FALSE(holds(engine_words(ServingEngine::vllm, scenario, layout), "--enable-expert-parallel"));
  EXPECT_FALSE(holds(engine_words(ServingEngine::sglang, scenario, layout), "--ep-size"));
  layout.ep = 4;
  EXPECT_TRUE(holds(engine_words(ServingEngine::vllm, scenario, layout), "--enable-expert-parallel"));
  const std::vector<std::string> sglang = engine_words(ServingEngine::sglang, scenario, layout);
  const auto degree = std::find(sglang.begin(), sglang.end(), "--ep-size");
  ASSERT_TRUE(degree != sglang.end() && degree + 1 != sglang.end());
  EXPECT_EQ(*(degree + 1), "4");
}

// Four ranks of two GPUs, two to a server: vLLM counts a server's ranks and says tp of each; SGLang's tp
// counts all GPUs of a server.
TEST(EngineWords, StartRanksThatShareExpertsAsOneServer) {
  Scenario scenario;
  scenario.model.kv = {"bf16", 2};
  Layout layout{2, 1, 4, {}, 4};
  for (int r = 0; r < 4; ++r) {
    const int first = r < 2 ? 0 : 4;
    layout.replicas.push_back({{{0, 1}, {2 * r, 2 * r + 1}, {first, first + 1, first + 2, first + 3}}});
  }
  const auto after = [](const std::vector<std::string>& words, const std::string& word) {
    const auto found = std::find(words.begin(), words.end(), word);
    return found == words.end() || found + 1 == words.end() ? "" : *(found + 1);
  };
  const auto vllm = engine_words(ServingEngine::vllm, scenario, layout);
  EXPECT_EQ(after(vllm, "--tensor-parallel-size"), "2");
  EXPECT_EQ(after(vllm, "--data-parallel-size"), "2");
  EXPECT_TRUE(holds(vllm, "--enable-expert-parallel"));
  const auto sglang = engine_words(ServingEngine::sglang, scenario, layout);
  EXPECT_EQ(after(sglang, "--tp-size"), "4");
  EXPECT_EQ(after(sglang, "--dp-size"), "2");
  EXPECT_EQ(after(sglang, "--ep-size"), "4");
  EXPECT_TRUE(holds(sglang, "--enable-dp-attention"));
  EXPECT_THAT(engine_notes(ServingEngine::vllm, scenario, layout), Contains(HasSubstr("2 replicas, each a")));
}

}  // namespace
}  // namespace sextant
