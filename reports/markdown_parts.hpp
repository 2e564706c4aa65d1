#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

// What the Markdown of every kind of result is made of.
namespace sextant::detail {

/// Rows or bullets of which no more are shown.
inline constexpr std::size_t most_lines = 20;

/// A member as a table's cell; empty where there is none.
std::string cell(const nlohmann::ordered_json&, std::string_view key);
/// A member that is a share, in percent.
std::string percent_cell(const nlohmann::ordered_json&, std::string_view key);
/// A list of texts, each on a line; the first of very many.
std::string bullets(const std::vector<std::string>&);
/// A command as a block of code; empty without one.
std::string code(const std::string&);

/// `sextant whatif`: what the changes gain, side by side, and why.
std::string whatif_markdown(const nlohmann::ordered_json&);
/// `sextant plan` of a purchase: what to buy, what else there is, what would change the answer.
std::string purchase_markdown(const nlohmann::ordered_json&);
/// `sextant plan` of several models: which GPUs each gets, why, and the other divisions.
std::string mix_markdown(const nlohmann::ordered_json&);

}  // namespace sextant::detail
