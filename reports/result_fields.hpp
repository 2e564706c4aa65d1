#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

// Reading a result document that may lack what an older release, or another command, did not write: what is
// absent or of another type is null, not a number, empty.
namespace sextant::detail {

/// A member, or null.
const nlohmann::ordered_json& member(const nlohmann::ordered_json&, std::string_view key);
/// A number; not a number where there is none.
double number_member(const nlohmann::ordered_json&, std::string_view key);
/// A text; empty where there is none.
std::string text_member(const nlohmann::ordered_json&, std::string_view key);
bool true_member(const nlohmann::ordered_json&, std::string_view key);
/// The texts of a list.
std::vector<std::string> texts_member(const nlohmann::ordered_json&, std::string_view key);

/// The run that speaks for a result: a plan's best candidate, the first replication; null where there is
/// none.
const nlohmann::ordered_json& headline_run(const nlohmann::ordered_json& result);
/// {tp, pp, dp, split, …} of it.
const nlohmann::ordered_json& headline_layout(const nlohmann::ordered_json& result);
/// "tp 1 x pp 3 x dp 1, layers 42/42/42"
std::string layout_text(const nlohmann::ordered_json& layout);

/// The metrics every answer shows, then those that its SLO names besides.
std::vector<std::string> headline_metric_names(const nlohmann::ordered_json& result);

}  // namespace sextant::detail
