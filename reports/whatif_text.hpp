#pragma once
#include <string>

#include "reports/text_style.hpp"
#include "sim/planner/whatif.hpp"

namespace sextant {

/// Base and variants side by side, what each moves by how much and why.
std::string whatif_text(const WhatIf&, TextStyle);

/// {"format": "sextant whatif", "version": 1, …} (reports/README.md). What is not finite is null.
std::string whatif_json(const WhatIf&, const JsonValue& document);

/// One row for the base and each variant; a variant that cannot be has its reason and nothing else.
std::string whatif_csv(const WhatIf&);

}  // namespace sextant
