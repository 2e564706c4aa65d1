#pragma once
#include <string>

#include "models/hardware/cluster.hpp"

namespace sextant {

/// One node of so many GPUs of one card, joined as the card usually is: of the catalogue's node types that
/// take its form factor the one that holds most (NVSwitch for SXM, one root complex for PCIe). Throws
/// InputError for an unknown card, or more GPUs than such a node holds.
Cluster usual_node(const std::string& gpu, int gpus);

}  // namespace sextant
