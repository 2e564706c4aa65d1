#include <gtest/gtest.h>

#include "sim/planner/purchase_parts.hpp"

namespace sextant {
namespace {

constexpr int workstation = 0, server = 1;

PlannedPurchase planned(PurchaseKind kind, std::vector<PurchasedNodes> nodes) {
  PlannedPurchase result;
  result.kind = std::move(kind);
  result.purchase.nodes = std::move(nodes);
  return result;
}

// The best is a server with eight cards of sort 0. A ninth card in a workstation beside it, of whatever sort,
// leaves eight of nine cards where they are: a neighbour. Of three nodes with nine cards none is the server,
// and two of them again with another third node would be eight of nine cards. So: other cards, three nodes,
// then the third sort of card.
TEST(PurchaseAlternatives, AreNoNeighbours) {
  const std::vector<PlannedPurchase> ranked = {
      planned({"a", 1, 0}, {{server, {{0, 8}}, 1}}),
      planned({"a + b", 2, 100}, {{workstation, {{1, 1}}, 1}, {server, {{0, 8}}, 1}}),
      planned({"a", 2, 100}, {{workstation, {{0, 1}}, 1}, {server, {{0, 8}}, 1}}),
      planned({"a", 3, 400}, {{workstation, {{0, 1}}, 1}, {workstation, {{0, 4}}, 2}}),
      planned({"a + b", 3, 400}, {{workstation, {{0, 4}}, 2}, {workstation, {{1, 1}}, 1}}),
      planned({"b", 1, 0}, {{server, {{1, 8}}, 1}}),
      planned({"c", 1, 0}, {{server, {{2, 8}}, 1}})};
  const auto chosen = alternatives_to(ranked.front(), ranked);
  ASSERT_EQ(chosen.size(), 3U);
  EXPECT_EQ(chosen[0].planned.kind, ranked[5].kind);
  EXPECT_EQ(chosen[1].planned.kind, ranked[3].kind);
  EXPECT_EQ(chosen[2].planned.kind, ranked[6].kind);
}

// Two equal nodes over 400 instead of 100 Gbit/s have every card in its place, and are another network.
TEST(PurchaseAlternatives, AnotherNetworkIsAnotherKind) {
  const std::vector<PurchasedNodes> two = {{server, {{0, 4}}, 2}};
  const std::vector<PlannedPurchase> ranked = {planned({"a", 2, 100}, two), planned({"a", 2, 400}, two)};
  const auto chosen = alternatives_to(ranked.front(), ranked);
  ASSERT_EQ(chosen.size(), 1U);
  EXPECT_EQ(chosen[0].differs, std::vector<std::string>{"a network of 400 Gbit/s a node"});
}

}  // namespace
}  // namespace sextant
