#pragma once
#include <nlohmann/json_fwd.hpp>

#include "models/base/json_reader.hpp"
#include "models/profile/link_profile.hpp"

namespace sextant {

/// The `ring` section of a link profile. Throws InputError.
RingModel read_ring_model(const JsonValue&);
nlohmann::ordered_json ring_model_json(const RingModel&);

}  // namespace sextant
