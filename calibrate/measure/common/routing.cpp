#include "calibrate/measure/common/routing.hpp"

#include <algorithm>
#include <numeric>
#include <random>

namespace sextant::measure {
namespace {

/// `chosen`: [tokens, topk] experts.
Routing sorted(const std::vector<int>& chosen, int experts, int topk) {
  std::vector<std::int64_t> counts(static_cast<std::size_t>(experts));
  for (const int expert : chosen) ++counts[static_cast<std::size_t>(expert)];
  Routing routing;
  for (int expert = 0; expert < experts; ++expert)
    if (counts[static_cast<std::size_t>(expert)] > 0)
      routing.loads.push_back({expert, counts[static_cast<std::size_t>(expert)]});
  std::stable_sort(routing.loads.begin(), routing.loads.end(),
                   [](const Routing::Load& a, const Routing::Load& b) { return a.rows > b.rows; });
  std::vector<std::int64_t> next(static_cast<std::size_t>(experts));
  std::int64_t row = 0;
  for (const Routing::Load& load : routing.loads) {
    next[static_cast<std::size_t>(load.expert)] = row;
    row += load.rows;
  }
  routing.row_tokens.resize(chosen.size());
  routing.token_rows.resize(chosen.size());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const std::int64_t place = next[static_cast<std::size_t>(chosen[i])]++;
    routing.row_tokens[static_cast<std::size_t>(place)] =
        static_cast<std::int32_t>(i / static_cast<std::size_t>(topk));
    routing.token_rows[i] = static_cast<std::int32_t>(place);
  }
  return routing;
}

}  // namespace

Routing even_routing(std::int64_t tokens, int experts, int topk, int first) {
  std::vector<int> chosen(static_cast<std::size_t>(tokens * topk));
  for (std::size_t i = 0; i < chosen.size(); ++i)
    chosen[i] = static_cast<int>((i + static_cast<std::size_t>(first)) % static_cast<std::size_t>(experts));
  return sorted(chosen, experts, topk);
}

Routing uniform_routing(std::int64_t tokens, int experts, int topk, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<int> order(static_cast<std::size_t>(experts)), chosen;
  std::iota(order.begin(), order.end(), 0);
  for (std::int64_t token = 0; token < tokens; ++token)
    for (int i = 0; i < topk; ++i) {
      const auto pick = static_cast<std::size_t>(i) + random() % static_cast<std::size_t>(experts - i);
      std::swap(order[static_cast<std::size_t>(i)], order[pick]);
      chosen.push_back(order[static_cast<std::size_t>(i)]);
    }
  return sorted(chosen, experts, topk);
}

Routing of_experts(const Routing& all, int first, int count) {
  Routing own;
  std::vector<std::int32_t> places(all.row_tokens.size(), -1);
  std::size_t row = 0;
  for (const Routing::Load& load : all.loads) {
    const auto rows = static_cast<std::size_t>(load.rows);
    if (load.expert >= first && load.expert < first + count) {
      own.loads.push_back({load.expert - first, load.rows});
      for (std::size_t i = 0; i < rows; ++i) {
        places[row + i] = static_cast<std::int32_t>(own.row_tokens.size());
        own.row_tokens.push_back(all.row_tokens[row + i]);
      }
    }
    row += rows;
  }
  own.token_rows.reserve(all.token_rows.size());
  for (const std::int32_t place : all.token_rows)
    own.token_rows.push_back(places[static_cast<std::size_t>(place)]);
  return own;
}

}  // namespace sextant::measure
