#pragma once
#include "models/profile/link_profile.hpp"

namespace sextant {

/// Bytes that cross the busiest link of a ring for each byte of a collective (nccl-tests' size): 2 (n - 1) /
/// n of an all-reduce, (n - 1) / n of the others.
double ring_share(const std::string& op, int ranks);

/// The link where every byte takes so many nanoseconds longer on the wire: more headers in smaller packets.
LinkProfile with_longer_bytes(LinkProfile, double ns_per_byte);

/// The link of which 10^9 B/s times `gbps` are left beside other traffic: no collective moves its bytes
/// faster, and what a ring reaches is at most that. Messages are not in it: Route::seconds has their bound.
LinkProfile with_rate_left(LinkProfile, double gbps);

}  // namespace sextant
