#include <fmt/core.h>

#include <algorithm>
#include <array>

#include "sim/scenario/scenario.hpp"

namespace sextant {
namespace {

/// Two metrics of which the first is never above the second.
struct Order {
  std::string lower, upper, why;
};

/// Percentiles of one quantity are in order by definition, and a mean above its 99th percentile is taken for
/// a mistake: one request in a hundred would have to take longer than all others together.
std::vector<Order> orders() {
  std::vector<Order> all;
  for (const char* quantity : {"ttft", "tpot", "itl", "e2el"}) {
    const auto name = [&](const char* statistic) { return fmt::format("{}_{}_ms", statistic, quantity); };
    const std::string own = fmt::format("of one {}", quantity);
    for (const auto& [lower, upper] : {std::pair{"median", "p90"}, std::pair{"median", "p99"},
                                       std::pair{"p90", "p99"}, std::pair{"mean", "p99"}})
      all.push_back({name(lower), name(upper), own});
  }
  for (const char* statistic : {"mean", "median", "p90", "p99"})
    all.push_back({fmt::format("{}_ttft_ms", statistic), fmt::format("{}_e2el_ms", statistic),
                   "a request ends after its first token"});
  all.push_back({"output_throughput", "total_token_throughput", "outputs are part of all tokens"});
  all.push_back({"request_goodput", "request_throughput", "good requests are part of all"});
  return all;
}

std::string text_of(const ServiceLevel& level) {
  return fmt::format("{} {}{:.6g}", level.metric, level.at_most ? "<=" : ">=", level.bound);
}

}  // namespace

std::optional<std::string> contradiction(const std::vector<ServiceLevel>& slo) {
  for (const ServiceLevel& level : slo)
    if (level.metric == "goodput_fraction" && !level.at_most && level.bound > 1)
      return fmt::format("found {}, expected at most 1, which is all requests", text_of(level));
  const auto excludes = [](const ServiceLevel& at_least, const ServiceLevel& at_most) {
    return !at_least.at_most && at_most.at_most && at_least.bound > at_most.bound;
  };
  for (const ServiceLevel& floor : slo) {
    for (const ServiceLevel& ceiling : slo) {
      if (!excludes(floor, ceiling)) continue;
      if (floor.metric == ceiling.metric)
        return fmt::format("found {} and {}, which exclude each other", text_of(floor), text_of(ceiling));
      for (const Order& order : orders())
        if (floor.metric == order.lower && ceiling.metric == order.upper)
          return fmt::format("found {} and {}, which exclude each other: {} is never above {} ({})",
                             text_of(floor), text_of(ceiling), order.lower, order.upper, order.why);
    }
  }
  return std::nullopt;
}

}  // namespace sextant
