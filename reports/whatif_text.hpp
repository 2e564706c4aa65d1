#pragma once
#include <string>
#include <vector>

#include "reports/text_style.hpp"
#include "sim/planner/whatif.hpp"

namespace sextant {

/// Base and variants side by side, what each moves by how much and why.
std::string whatif_text(const WhatIf&, TextStyle);

/// The answer in sentences: which change gains most, which loses most, which cannot be. A change counts where
/// someone would notice it and it is more than the error of the prediction, where that was computed.
std::vector<std::string> whatif_answer(const WhatIf&);

/// Whether anyone would notice a change, and whether the prediction is good enough to say so; empty: not
/// known without intervals.
std::string whatif_worth(const WhatIfRow&);

/// {"format": "sextant whatif", "version": 1, …} (reports/README.md). What is not finite is null. `command`
/// gives the same result again.
std::string whatif_json(const WhatIf&, const JsonValue& document, const std::string& command = "");

/// One row for the base and each variant; a variant that cannot be has its reason and nothing else.
std::string whatif_csv(const WhatIf&);

}  // namespace sextant
