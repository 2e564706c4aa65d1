#include "sim/cli/rendered_files.hpp"

#include <fmt/core.h>

#include <array>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "reports/html_page.hpp"
#include "reports/launch/quoting.hpp"
#include "reports/markdown.hpp"
#include "reports/result_file.hpp"
#include "sim/cli/output.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

constexpr std::array results = {"json", "csv", "html", "markdown", "trace", "requests"};

/// Options that move no figure.
bool moves_nothing(const std::string& option) {
  constexpr std::array others = {"threads",    "quiet", "step-by-step", "trace-events",
                                 "fail-above", "help",  "rows",         "shard",
                                 "merge",      "wait",  "yes",          "arguments"};
  for (const char* name : results)
    if (option == name) return true;
  for (const char* name : others)
    if (option == name) return true;
  return false;
}

}  // namespace

void add_rendered_options(options::options_description& description) {
  const auto file = [] { return options::value<std::string>()->value_name("FILE"); };
  description.add_options()(
      "html", file(),
      "one self-contained page with charts, which opens from disk; - is stdout, without the text")(
      "markdown", file(), "a summary to paste into an issue; - is stdout, without the text");
}

RenderedFiles::RenderedFiles(const std::string& command, const ParsedWords& parsed)
    : html_(parsed.text("html")), markdown_(parsed.text("markdown")) {
  check_writable("--html", html_);
  check_writable("--markdown", markdown_);
  std::string first;
  for (const char* option : results) {
    if (parsed.text(option) != "-") continue;
    if (!first.empty())
      throw InputError(
          fmt::format("{}: found {} - and --{} -, expected one of them on stdout", command, first, option));
    first = fmt::format("--{}", option);
  }
}

void RenderedFiles::write(const std::string& document) const {
  if (!wanted()) return;
  const nlohmann::ordered_json result = parse_result(document, "the result");
  write_result(html_, html_ ? html_page(result) : "");
  write_result(markdown_, markdown_ ? result_markdown(result) : "");
}

std::string reproduction_command(const std::string& command, const ParsedWords& parsed) {
  std::string text = "sextant " + command;
  for (const std::string& argument : parsed.arguments) text.append(" ").append(shell_word(argument));
  for (const auto& [name, value] : parsed.options) {
    if (moves_nothing(name)) continue;
    const auto add = [&, option = name](const std::string& word) {
      text += fmt::format(" --{}{}{}", option, word.empty() ? "" : " ", word.empty() ? "" : shell_word(word));
    };
    if (const auto* one = boost::any_cast<std::string>(&value.value())) {
      add(*one);
    } else if (const auto* many = boost::any_cast<std::vector<std::string>>(&value.value())) {
      for (const std::string& word : *many) add(word);
    } else {
      add("");
    }
  }
  return text;
}

}  // namespace sextant
