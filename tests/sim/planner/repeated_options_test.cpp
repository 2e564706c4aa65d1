#include "sim/planner/repeated_options.hpp"

#include <gtest/gtest.h>

namespace sextant {
namespace {

/// Three nodes: two with a workstation card, one with a Max-Q.
Cluster cluster() {
  return read_cluster(JsonValue::parse(R"({"nodes": [
      {"node": "workstation", "gpus": {"rtx-pro-6000-workstation": 1}, "nic": "connectx-7-200", "count": 2},
      {"node": "workstation", "gpus": {"rtx-pro-6000-max-q": 1}, "nic": "connectx-7-200"}],
      "network": {"switch": "mikrotik-crs804-ddq"}})",
                                       "test.json"));
}

/// Eight layers on two of the cluster's cards, one stage each.
Candidate candidate(const Cluster& cluster, std::size_t first, std::size_t second, double throughput,
                    int layers_of_first = 4) {
  const std::vector<int> gpus = cluster.gpus();
  Candidate c;
  c.layout = {1, 2, 1, {{{{0, layers_of_first}, {gpus[first]}}, {{layers_of_first, 8}, {gpus[second]}}}}};
  c.metrics.output_throughput = throughput;
  return c;
}

using Repeats = std::vector<std::optional<std::size_t>>;

// Workstation cards exchanged, 0.4 % slower: the same option. 0.6 % slower, with other layers or with the
// Max-Q for one of them: others.
TEST(RepeatedOptions, OtherGpusOfTheSameSortAreNoOtherOption) {
  const Cluster c = cluster();
  EXPECT_EQ(repeated_options(c, {candidate(c, 0, 1, 1000), candidate(c, 1, 0, 996), candidate(c, 1, 0, 994),
                                 candidate(c, 1, 0, 1000, 5), candidate(c, 0, 2, 1000),
                                 candidate(c, 2, 0, 1000), candidate(c, 1, 2, 999)}),
            (Repeats{std::nullopt, 0, std::nullopt, std::nullopt, std::nullopt, std::nullopt, 4}));
}

// Another format, a missed SLO or a p99 that someone would notice (1 %) make another option.
TEST(RepeatedOptions, WhatTheReaderChoosesByTellsThemApart) {
  const Cluster c = cluster();
  const Candidate first = candidate(c, 0, 1, 1000);
  Candidate other_choice = first, misses = first, late = first;
  other_choice.choice = 1;
  misses.meets_slo = false;
  late.metrics.tpot.p99 = 10;
  Candidate later = late;
  later.metrics.tpot.p99 = 10.1;
  EXPECT_EQ(repeated_options(c, {first, other_choice, misses, late, later}), Repeats(5));
  EXPECT_EQ(repeated_options(c, {}), Repeats());
}

}  // namespace
}  // namespace sextant
