#pragma once
#include "models/profile/link_profile.hpp"

namespace sextant {

/// The link on a machine of its class that nobody measured: the spread of each curve reaches from what its
/// own machine does to what the slowest and the fastest known ones would, by their rates with large messages
/// (LinkProfile::hosts), both errors independent, and its grade is no better than that range's. Unchanged
/// where the profile has no such range.
LinkProfile on_any_host(LinkProfile);

}  // namespace sextant
