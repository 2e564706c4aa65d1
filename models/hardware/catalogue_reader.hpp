#pragma once
#include "models/base/json_reader.hpp"
#include "models/hardware/catalogue.hpp"

namespace sextant {

// One catalogue entry each, strict: an unknown key, an absurd value or a part at odds with itself throws
// InputError.
Gpu read_gpu(const JsonValue&);
Nic read_nic(const JsonValue&);
Switch read_switch(const JsonValue&);
NodeType read_node_type(const JsonValue&);

}  // namespace sextant
