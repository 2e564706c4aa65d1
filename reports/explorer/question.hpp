#pragma once
#include <nlohmann/json_fwd.hpp>

namespace sextant {

/// What a page needs to go on asking about a plan (a document of `sextant plan --json`):
///   {"open": {"question": …, "files": {path: text}}, "controls": …, "base": the answer as planned, "notes":
///   […]}
/// `open` is what the explorer in the page is opened with: the scenario without what estimates do not use,
/// and the catalogue and profile files that it leans on. {"unavailable": REASON} where estimates cannot
/// answer; null for a result that is no plan.
nlohmann::ordered_json explorer_question(const nlohmann::ordered_json& result);

}  // namespace sextant
