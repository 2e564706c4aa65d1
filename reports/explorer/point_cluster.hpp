#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace sextant {

/// One kind of card in a cluster's document.
struct CardControl {
  std::string gpu;
  int base = 0, least = 0, most = 0;  ///< cards
  double watts = 0;                   ///< power limit of all of them; 0: unlike, or not known
  double clock = 1;                   ///< relative; 0: unlike
};

/// The kinds of cards of a scenario's "cluster", a document that read_cluster accepts, and how many of each
/// with_cards can place.
std::vector<CardControl> card_controls(const nlohmann::json& cluster);

/// The slowest network port in Gbit/s; 0 where no node has a NIC.
double network_gbits(const nlohmann::json& cluster);

/// The cluster at a point (Explorer::answer): cards are taken from the last nodes that hold them; more fill
/// the nodes that hold some, then nodes like the last of them. A NIC above the asked rate gets its ports
/// slower, one below is exchanged for the catalogue's first with that rate, unless it is part of the machine.
/// What the point does not name stays as it is.
nlohmann::json at_point(const nlohmann::json& cluster, const nlohmann::json& point);

}  // namespace sextant
