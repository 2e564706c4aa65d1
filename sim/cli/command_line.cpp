#include "sim/cli/command_line.hpp"

#include <fmt/core.h>

#include <charconv>
#include <filesystem>
#include <map>
#include <sstream>

#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

std::vector<std::string> known_options(const options::options_description& description) {
  std::vector<std::string> names;
  for (const auto& option : description.options()) names.push_back("--" + option->long_name());
  return names;
}

/// The file behind a name, with its links followed as far as it exists.
std::filesystem::path file_behind(const std::string& name) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::weakly_canonical(name, error);
  return error ? std::filesystem::path(name) : path;
}

/// Refuses an output that would replace an argument (a scenario, measured rows) or another output.
void refuse_clashing_files(const std::string& command, const ParsedWords& parsed) {
  std::map<std::filesystem::path, std::string> taken;
  for (const std::string& argument : parsed.arguments)
    if (argument != "-") taken.emplace(file_behind(argument), "what is read");
  for (const char* option : {"json", "csv", "html", "markdown", "trace", "requests", "output"}) {
    if (!parsed.has(option) || parsed.options[option].value().type() != typeid(std::string)) continue;
    const std::string name = parsed.options[option].as<std::string>();
    if (name.empty() || name == "-") continue;
    const auto [other, added] = taken.emplace(file_behind(name), fmt::format("--{}", option));
    if (!added)
      throw InputError(fmt::format("{}: found --{} {}, expected another file than {}", command, option, name,
                                   other->second));
  }
}

}  // namespace

std::optional<std::string> ParsedWords::text(const std::string& option) const {
  if (!has(option)) return std::nullopt;
  return options[option].as<std::string>();
}

std::optional<std::uint64_t> ParsedWords::whole_number(const std::string& option, std::uint64_t low,
                                                       std::uint64_t high) const {
  const std::optional<std::string> given = text(option);
  if (!given) return std::nullopt;
  std::uint64_t value = 0;
  const char* end = given->data() + given->size();
  const auto [stopped, error] = std::from_chars(given->data(), end, value);
  if (error != std::errc{} || stopped != end || value < low || value > high)
    throw InputError(
        fmt::format("--{}: found '{}', expected a whole number from {} to {}", option, *given, low, high));
  return value;
}

ParsedWords parse_words(const std::string& command, const Arguments& words,
                        const options::options_description& description) {
  using Style = options::command_line_style::style_t;
  constexpr int style = Style::unix_style & ~Style::allow_guessing;
  options::options_description all;
  all.add(description);
  all.add_options()("arguments", options::value<std::vector<std::string>>());
  options::positional_options_description positions;
  positions.add("arguments", -1);
  ParsedWords parsed;
  try {
    options::store(options::command_line_parser(words).options(all).positional(positions).style(style).run(),
                   parsed.options);
  } catch (const options::unknown_option& error) {
    throw InputError(fmt::format("{}: found the unknown option '{}'{}; see sextant {} --help", command,
                                 error.get_option_name(),
                                 did_you_mean(error.get_option_name(), known_options(description)), command));
  } catch (const options::error& error) {
    throw InputError(fmt::format("{}: {}; see sextant {} --help", command, error.what(), command));
  }
  if (parsed.options.count("arguments") > 0)
    parsed.arguments = parsed.options["arguments"].as<std::vector<std::string>>();
  refuse_clashing_files(command, parsed);
  return parsed;
}

std::string options_text(const boost::program_options::options_description& description) {
  std::ostringstream text;
  text << description;
  return text.str();
}

}  // namespace sextant
