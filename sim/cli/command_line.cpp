#include "sim/cli/command_line.hpp"

#include <fmt/core.h>

#include <charconv>
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
  return parsed;
}

std::string options_text(const boost::program_options::options_description& description) {
  std::ostringstream text;
  text << description;
  return text.str();
}

}  // namespace sextant
