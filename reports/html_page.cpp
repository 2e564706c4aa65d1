#include "reports/html_page.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "models/base/embedded.hpp"
#include "models/base/error.hpp"
#include "reports/explorer/packed.hpp"
#include "reports/explorer/question.hpp"
#include "reports/markdown.hpp"

namespace sextant {

namespace detail {
// The table that models/base/embed.cmake writes of reports/page/asset.
extern const EmbeddedFile page_files[];
extern const std::size_t page_files_count;
}  // namespace detail

namespace {

using Json = nlohmann::ordered_json;

std::string_view asset(std::string_view name) {
  for (std::size_t i = 0; i < detail::page_files_count; ++i)
    if (detail::page_files[i].path == name) return detail::page_files[i].content;
  throw Error(ExitCode::failure, fmt::format("the page's part {} is not in this program", name));
}

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t found = text.find(what, at);
    result += text.substr(at, found - at);
    if (found == std::string_view::npos) break;
    result += by;
    at = found + what.size();
  }
  return result;
}

/// Text between HTML tags.
std::string escaped(std::string_view text) {
  return replaced(replaced(replaced(text, "&", "&amp;"), "<", "&lt;"), ">", "&gt;");
}

/// JSON that an HTML parser reads as nothing but text: without "<" there is no tag, comment or end of script.
std::string script_json(const Json& json) {
  return replaced(json.dump(-1, ' ', false, Json::error_handler_t::replace), "<", "\\u003c");
}

/// The explorer's part of a page: the program and what it is opened with, both packed, as data that no
/// browser runs.
std::string explorer_blocks(const Json& opened) {
  constexpr std::string_view block = "<script type=\"text/plain\" id=\"{}\">{}</script>\n";
  return fmt::format(block, "explorer-program", base64(asset("reports/page/asset/explorer.wasm.gz"))) +
         fmt::format(block, "explorer-input",
                     base64(gzipped(opened.dump(-1, ' ', false, Json::error_handler_t::replace))));
}

}  // namespace

std::string html_page(const Json& given) {
  constexpr std::size_t without_script_most = 60'000, reserve = 20'000, most_of_explorer = 900'000;
  Json result = given;
  std::string explorer;
  if (Json question = explorer_question(given); !question.is_null()) {
    if (question.contains("open")) explorer = explorer_blocks(question["open"]);
    question.erase("open");
    if (explorer.size() > most_of_explorer) {
      explorer.clear();
      question = {{"unavailable", "the profiles of its cards are too large for a page"}};
    }
    result["explorer"] = std::move(question);
  }
  const std::string_view page = asset("reports/page/asset/page.html");
  const std::string_view style = asset("reports/page/asset/page.css");
  const std::string_view script = asset("reports/page/asset/page.js");
  const Json short_data = page_data(given, without_script_most);
  std::string without_script = escaped(result_markdown(short_data));
  if (without_script.size() > 2 * without_script_most) without_script.clear();
  const std::size_t fixed =
      page.size() + style.size() + script.size() + without_script.size() + explorer.size() + reserve;
  const std::string data = script_json(page_data(result, largest_page_bytes - fixed));
  std::string text;
  // What is put in is not looked at again: data that contains "{{script}}" stays data.
  for (std::size_t at = 0; at < page.size();) {
    const std::size_t open = page.find("{{", at), close = page.find("}}", open);
    text += page.substr(at, open - at);
    if (open == std::string_view::npos || close == std::string_view::npos) break;
    const std::string_view name = page.substr(open + 2, close - open - 2);
    if (name == "title") text += escaped(short_data.value("scenario", short_data.value("format", "Sextant")));
    if (name == "style") text += style;
    if (name == "script") text += script;
    if (name == "explorer") text += explorer;
    if (name == "policy" && !explorer.empty())
      text += " 'wasm-unsafe-eval'";  // programs in the page itself, no other
    if (name == "data") text += data;
    if (name == "text") text += without_script;
    at = close + 2;
  }
  return text;
}

}  // namespace sextant
