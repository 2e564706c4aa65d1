#include <fmt/core.h>

#include <algorithm>

#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

bool mixed(const PurchaseKind& kind) {
  return kind.cards.find(" + ") != std::string::npos;
}

std::vector<std::string> differences(const PlannedPurchase& planned, const PlannedPurchase& best) {
  const PurchaseKind &a = planned.kind, &b = best.kind;
  std::vector<std::string> texts;
  if (mixed(a) != mixed(b))
    texts.emplace_back(mixed(a) ? "mixed cards" : "cards of one kind");
  else if (a.cards != b.cards)
    texts.emplace_back("other cards");
  if (a.nodes != b.nodes)
    texts.push_back(fmt::format("{} node{} instead of {}", a.nodes, a.nodes == 1 ? "" : "s", b.nodes));
  if (a.gbits != b.gbits && a.nodes > 1)
    texts.push_back(fmt::format("a network of {} Gbit/s a node", a.gbits));
  return texts;
}

}  // namespace

std::vector<PurchaseAlternative> alternatives_to(const PlannedPurchase& best,
                                                 const std::vector<PlannedPurchase>& ranked) {
  constexpr std::size_t most = 3;
  std::vector<PurchaseAlternative> chosen;
  const auto taken = [&](const PurchaseKind& kind) {
    return kind == best.kind ||
           std::any_of(chosen.begin(), chosen.end(), [&](const auto& c) { return c.planned.kind == kind; });
  };
  const auto take_first = [&](const auto& wanted) {
    if (chosen.size() == most) return;
    for (const PlannedPurchase& planned : ranked) {
      if (taken(planned.kind) || !wanted(planned.kind)) continue;
      chosen.push_back({planned, differences(planned, best), {}, {}});
      return;
    }
  };
  // What a card, a count of nodes and a network would change is asked one by one.
  take_first([&](const PurchaseKind& kind) { return kind.cards != best.kind.cards && !mixed(kind); });
  take_first([&](const PurchaseKind& kind) {
    return kind.nodes != best.kind.nodes && kind.cards == best.kind.cards;
  });
  take_first([&](const PurchaseKind& kind) { return mixed(kind) != mixed(best.kind); });
  take_first([&](const PurchaseKind& kind) { return kind.gbits != best.kind.gbits; });
  for (std::size_t i = 0; i < most; ++i) take_first([](const PurchaseKind&) { return true; });
  return chosen;
}

}  // namespace sextant
