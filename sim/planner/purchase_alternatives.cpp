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

/// Nodes that come with their cards count as one.
int cards_in(const std::vector<PurchasedNodes>& nodes) {
  int cards = 0;
  for (const PurchasedNodes& node : nodes) {
    int in_node = node.cards.empty() ? 1 : 0;
    for (const auto& [unused, count] : node.cards) in_node += count;
    cards += node.count * in_node;
  }
  return cards;
}

/// Neighbours have more than half of the larger one's cards in equal nodes: the same chassis with the same
/// cards, on the same network where both have one.
bool neighbours(const PlannedPurchase& a, const PlannedPurchase& b) {
  if (a.kind.nodes > 1 && b.kind.nodes > 1 && a.kind.gbits != b.kind.gbits) return false;
  std::vector<PurchasedNodes> common;
  for (const PurchasedNodes& nodes : a.purchase.nodes)
    for (const PurchasedNodes& other : b.purchase.nodes) {
      if (other.chassis != nodes.chassis || other.cards != nodes.cards) continue;
      common.push_back(nodes);
      common.back().count = std::min(nodes.count, other.count);
    }
  return 2 * cards_in(common) > std::max(cards_in(a.purchase.nodes), cards_in(b.purchase.nodes));
}

}  // namespace

/// None is a neighbour of the best or of an alternative taken before.
std::vector<PurchaseAlternative> alternatives_to(const PlannedPurchase& best,
                                                 const std::vector<PlannedPurchase>& ranked) {
  constexpr std::size_t most = 3;
  std::vector<PurchaseAlternative> chosen;
  const auto near_one_of_them = [&](const PlannedPurchase& planned) {
    return neighbours(planned, best) || std::any_of(chosen.begin(), chosen.end(), [&](const auto& c) {
             return neighbours(planned, c.planned);
           });
  };
  const auto take_first = [&](const auto& wanted) {
    if (chosen.size() == most) return;
    for (const PlannedPurchase& planned : ranked) {
      if (planned.kind == best.kind || !wanted(planned.kind) || near_one_of_them(planned)) continue;
      chosen.push_back({planned, differences(planned, best), {}, {}});
      return;
    }
  };
  const auto new_cards = [&](const PurchaseKind& kind) {
    return kind.cards != best.kind.cards && !mixed(kind) &&
           std::none_of(chosen.begin(), chosen.end(),
                        [&](const auto& c) { return c.planned.kind.cards == kind.cards; });
  };
  // What a card, a count of nodes, a mixture and a network would change is asked one by one, then again
  // cards.
  take_first(new_cards);
  take_first([&](const PurchaseKind& kind) {
    return kind.nodes != best.kind.nodes && kind.cards == best.kind.cards;
  });
  take_first([&](const PurchaseKind& kind) { return mixed(kind) != mixed(best.kind); });
  take_first([&](const PurchaseKind& kind) {
    return kind.nodes > 1 && best.kind.nodes > 1 && kind.gbits != best.kind.gbits;
  });
  take_first(new_cards);
  for (std::size_t i = 0; i < most; ++i) take_first([](const PurchaseKind&) { return true; });
  return chosen;
}

}  // namespace sextant
