#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>

namespace sextant {

/// No page is larger, whatever the result: what does not fit is thinned out, and the page says so.
inline constexpr std::size_t largest_page_bytes = 1'500'000;

/// A result (a document of --json) as one HTML file that needs nothing else: style, script and data are in
/// it, and its Content-Security-Policy lets it load nothing. Strings of the result reach the page as JSON in
/// which
/// "<" is escaped, and the script puts them there as text only.
std::string html_page(const nlohmann::ordered_json& result);

/// The result as a page holds it: long strings and long lists cut so that its text stays within `bytes`;
/// `page_notes` lists what was left out.
nlohmann::ordered_json page_data(const nlohmann::ordered_json& result, std::size_t bytes);

}  // namespace sextant
