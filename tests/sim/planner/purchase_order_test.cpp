#include <fmt/core.h>
#include <gtest/gtest.h>

#include <random>

#include "sim/planner/purchase_floors.hpp"

namespace sextant {
namespace {

/// A small question with random prices, cards, slots, networks, loads and bounds.
class RandomQuestion {
 public:
  explicit RandomQuestion(unsigned seed) : random_(seed) {}

  std::string page() {
    using Numbers = std::vector<int>;
    using Texts = std::vector<std::string>;
    const std::string model =
        pick(Texts{R"({"name": "llama-3.1-8b"})", R"({"name": "llama-3.1-70b", "weights": "fp8"})"});
    const std::string load =
        pick(Texts{R"("max_concurrency": 1)", R"("max_concurrency": 2)", R"("max_concurrency": 8)",
                   R"("request_rate": 1)", R"("request_rate": 3)"});
    const std::string second = pick(Texts{"l40s", "rtx-pro-6000-max-q", "rtx-pro-6000-server"});
    return fmt::format(
        R"({{"name": "random", "cluster": {{"choose-from": [
        {{"chassis": "box", "node": "workstation", "price": {}, "pcie_slots": {}, "pcie_lanes": 128,
         "power_supply_watts": 3200, "power_supply_efficiency": 0.9, "host_watts": 300}},
        {{"gpu": "rtx-pro-6000-workstation", "price": {}}}, {{"gpu": "{}", "price": {}}},
        {{"nic": "connectx-5-100", "price": 500, "watts": 16}}, {{"nic": "connectx-7-400", "price": 1500, "watts": 25}}],
        "budget": {{"usd": {}, "nodes": {{"at_most": 2}}}}, "prefer": "{}",
        "network": {}}}, "model": {}, "deployment": "search",
        "engine": {{"max_model_len": 4096, "max_num_seqs": 16, "max_num_batched_tokens": 2048}},
        "economics": {{"electricity_usd_per_kwh": 0.2}},
        "workload": {{{}, "num_prompts": 20, "prompt": {{"fixed": {}}}, "output": {{"fixed": 64}}}},
        "slo": {{"p99_ttft_ms": "<={}", "p99_tpot_ms": "<={}"}}}})",
        between(300, 4000), pick(Numbers{5, 7, 9}), between(2000, 9000), second, between(1000, 9000),
        between(9000, 30000), pick(Texts{"throughput", "cost", "price"}),
        pick(Texts{R"({"transport": "roce", "gpudirect": true})",
                   R"({"transport": "roce", "gpudirect": false})",
                   R"({"transport": "tcp", "gpudirect": false})"}),
        model, load, pick(Numbers{128, 900, 3000}), pick(Numbers{100, 400, 3000}), pick(Numbers{8, 20, 60}));
  }

 private:
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }
  std::size_t below(std::size_t count) {
    return static_cast<std::size_t>(between(0, static_cast<int>(count) - 1));
  }
  int pick(const std::vector<int>& values) { return values[below(values.size())]; }
  std::string pick(const std::vector<std::string>& values) { return values[below(values.size())]; }

  std::mt19937 random_;
};

std::vector<Prospect> prospects_of(const PurchaseQuestion& question) {
  LeftOut unused;
  std::vector<Prospect> prospects;
  for (const Purchase& purchase : possible_purchases(question, unused))
    prospects.push_back({purchase, totals_of(question, purchase), kind_of(question, purchase), 0, {}});
  return prospects;
}

std::vector<Purchase> purchases_of(const std::vector<Prospect>& prospects) {
  std::vector<Purchase> purchases;
  for (const Prospect& p : prospects) purchases.push_back(p.purchase);
  return purchases;
}

// A purchase that is never estimated must be one that its estimate would not have brought forward either:
// the first six are those of estimating all, in the same order, on 32 random questions.
TEST(PurchaseOrder, EqualsEstimatingAll) {
  constexpr int most = 6, questions = 32;
  GpuProfileFinder find = remembering(find_gpu_profile);
  PlanOptions options;
  options.threads = 1;
  std::int64_t possible = 0, estimated = 0;
  for (unsigned seed = 0; seed < questions; ++seed) {
    const std::string page = RandomQuestion(seed).page();
    const PurchaseQuestion question = read_purchase_question(JsonValue::parse(page, "random.json"));
    const std::vector<ModelBound> models = model_bounds(question);
    const PurchaseEstimator estimator(question, models, find);
    std::vector<Prospect> bounded = prospects_of(question), all = bounded;
    PurchaseFloors floors(question, models, purchases_of(bounded), estimator);
    PurchaseOrder quick(question.prefer, bounded, estimator, &floors, options, most);
    PurchaseOrder exhaustive(question.prefer, all, estimator, nullptr, options, most);
    for (int i = 0; i < most; ++i) {
      const Prospect *a = quick.next(), *b = exhaustive.next();
      ASSERT_EQ(a == nullptr, b == nullptr) << page;
      if (a == nullptr) break;
      ASSERT_EQ(describe(question, a->purchase), describe(question, b->purchase))
          << "place " << i << " of " << page;
    }
    // And no best case is worse than the estimate.
    for (Prospect& p : all) {
      Prospect best_case = p;
      best_case.outlook = floors.best_case(p.purchase);
      EXPECT_FALSE(more_promising(question.prefer, p, best_case))
          << describe(question, p.purchase) << ": " << p.outlook.output_throughput << " above "
          << best_case.outlook.output_throughput << " of " << page;
    }
    LeftOut rest;
    quick.tell_rest(rest);
    std::int64_t told = 0;
    for (const auto& [unused, count] : rest) told += count;
    EXPECT_EQ(told,
              static_cast<std::int64_t>(bounded.size()) - std::min<std::int64_t>(most, std::ssize(bounded)));
    possible += std::ssize(bounded);
    estimated += quick.estimated();
  }
  EXPECT_LT(estimated, possible);
  RecordProperty("possible", static_cast<int>(possible));
  RecordProperty("estimated", static_cast<int>(estimated));
}

}  // namespace
}  // namespace sextant
