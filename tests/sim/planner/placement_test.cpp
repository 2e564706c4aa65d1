// Placement on random clusters: never worse than taking the GPUs in the order of the scenario.
#include <fmt/core.h>
#include <gtest/gtest.h>

#include <cmath>

#include "models/base/error.hpp"
#include "sim/planner/mixtures.hpp"
#include "tests/sim/planner/random_cluster.hpp"

namespace sextant {
namespace {

// Every division of up to 8 GPUs, in cluster order and split evenly, by the same estimate.
TEST(Placement, IsNeverWorseThanTheNaiveOrder) {
  setenv("SEXTANT_PROFILES", SEXTANT_SOURCE_DIR "/tests/fixtures/profiles", 1);
  int better = 0, compared = 0;
  for (unsigned seed = 1000; seed < 1500; ++seed) {
    const RandomScenario random(seed, 3 + static_cast<int>(seed % 6), 6 + static_cast<int>(seed % 7));
    const Scenario& s = random.scenario();
    SCOPED_TRACE(fmt::format("seed {}: {}", seed, random.description()));
    const Machine machine(s.cluster, s.engine.profile);
    const SearchContext context{s, machine, summarise_workload(s.workload)};
    SearchOptions options;
    options.most_steps = 500;  // as in a cluster too large to settle
    const SearchResult found = search_layouts(context, options);
    CostTables tables(context);
    double most = 0;
    const int gpus = static_cast<int>(s.cluster.gpus().size());
    for (int tp = 1; tp <= gpus; ++tp) {
      if (tensor_parallel_obstacle(s.model, tp)) continue;
      for (int pp = 1; pp * tp <= gpus && pp <= s.model.architecture.layer_count(); ++pp) {
        for (int dp = 1; dp * pp * tp <= gpus; ++dp) {
          try {
            const std::vector<int> layers = even_split(s.model.architecture.layer_count(), pp);
            const EstimatedLayout naive =
                estimate(tables, layout_in_order(s.cluster.gpus(), layers, dp, {tp, 1}));
            if (naive.kv_blocks <= 0) continue;
            most = std::max(most, naive.output_throughput);
            ASSERT_FALSE(found.layouts.empty());
            EXPECT_FALSE(better_estimate(naive, found.layouts.front()))
                << naive.layout.describe() << " gives " << naive.output_throughput << ", found "
                << found.layouts.front().layout.describe() << " " << found.layouts.front().output_throughput;
          } catch (const InputError&) {
            // A card without an operator.
          }
        }
      }
    }
    if (most <= 0) continue;
    ++compared;
    if (found.layouts.front().output_throughput > 1.02 * most) ++better;
  }
  EXPECT_GT(compared, 400);
  EXPECT_GT(better, 50) << "the naive order should lose often, or nothing is compared";
  fmt::print("{} of {} random clusters gain over 2 % on the naive order\n", better, compared);
}

}  // namespace
}  // namespace sextant
