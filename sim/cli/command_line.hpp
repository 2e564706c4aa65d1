#pragma once
#include <boost/program_options.hpp>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/cli/commands.hpp"

namespace sextant {

/// One sub-command's words, parsed. Words that are no options are its arguments.
struct ParsedWords {
  boost::program_options::variables_map options;
  std::vector<std::string> arguments;

  bool has(const std::string& option) const { return options.count(option) > 0; }
  /// A text option; nullopt if not given.
  std::optional<std::string> text(const std::string& option) const;
  /// A whole number within [low, high]; nullopt if not given. Throws InputError.
  std::optional<std::uint64_t> whole_number(const std::string& option, std::uint64_t low,
                                            std::uint64_t high) const;
};

/// Parses strictly: no abbreviations; an unknown option is an InputError that names the nearest, and so is an
/// output that would replace what another word names.
ParsedWords parse_words(const std::string& command, const Arguments&,
                        const boost::program_options::options_description&);

/// The file behind a name, with its links followed as far as it exists.
std::filesystem::path file_behind(const std::string& name);

/// The files that a command was told to write, each with the words that say so: "--json plan.json".
std::map<std::filesystem::path, std::string> written_files(const ParsedWords&);

/// The options and what they do, as --help lists them.
std::string options_text(const boost::program_options::options_description&);

}  // namespace sextant
