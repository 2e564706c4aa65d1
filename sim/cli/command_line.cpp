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

/// Options that name files to read, of any command.
constexpr const char* read_options[] = {"nccl-log", "topo",     "ibstat",       "ibv-devinfo", "mlnx-qos",
                                        "lspci",    "iperf3",   "measurements", "perftest",    "nccl-tests",
                                        "profile",  "scenario", "kernel-tables"};
constexpr const char* written_options[] = {"json", "csv", "html", "markdown", "trace", "requests", "output"};

/// A text option's values; none for a flag, a number or one that is not given.
std::vector<std::string> values_of(const ParsedWords& parsed, const std::string& option) {
  if (!parsed.has(option)) return {};
  const boost::any& value = parsed.options[option].value();
  if (const auto* one = boost::any_cast<std::string>(&value)) return {*one};
  if (const auto* many = boost::any_cast<std::vector<std::string>>(&value)) return *many;
  return {};
}

/// What a command reads, each file or folder with the option that names it.
std::map<std::filesystem::path, std::string> read_files(const ParsedWords& parsed) {
  std::map<std::filesystem::path, std::string> files;
  for (const std::string& argument : parsed.arguments)
    if (argument != "-") files.emplace(file_behind(argument), "what is read");
  for (const char* option : read_options)
    for (const std::string& name : values_of(parsed, option))
      files.emplace(file_behind(name), fmt::format("what --{} reads", option));
  return files;
}

/// Whether the path is a table of the folder that it lies in (gemm_perf.csv.gz).
bool is_table(const std::filesystem::path& path) {
  return path.filename().string().find(".csv") != std::string::npos;
}

/// Refuses an output that would replace what is read (a scenario, measured rows, a folder's table) or another
/// output.
void refuse_clashing_files(const std::string& command, const ParsedWords& parsed) {
  const std::map<std::filesystem::path, std::string> read = read_files(parsed);
  std::map<std::filesystem::path, std::string> written;
  for (const char* option : written_options)
    for (const std::string& name : values_of(parsed, option)) {
      if (name.empty() || name == "-") continue;
      const std::filesystem::path path = file_behind(name);
      const auto refuse = [&](const std::string& other) {
        throw InputError(
            fmt::format("{}: found --{} {}, expected another file than {}", command, option, name, other));
      };
      if (const auto input = read.find(path); input != read.end()) refuse(input->second);
      if (const auto folder = read.find(path.parent_path()); folder != read.end() && is_table(path))
        refuse(fmt::format("a table of the folder, {}", folder->second));
      if (const auto [other, added] = written.emplace(path, fmt::format("--{}", option)); !added)
        refuse(other->second);
    }
}

}  // namespace

std::filesystem::path file_behind(const std::string& name) {
  std::error_code error;
  const std::filesystem::path path =
      std::filesystem::weakly_canonical(std::filesystem::absolute(name, error), error);
  return error ? std::filesystem::path(name) : path;
}

std::map<std::filesystem::path, std::string> written_files(const ParsedWords& parsed) {
  std::map<std::filesystem::path, std::string> files;
  for (const char* option : written_options)
    for (const std::string& name : values_of(parsed, option))
      if (!name.empty() && name != "-")
        files.emplace(file_behind(name), fmt::format("--{} {}", option, name));
  return files;
}

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
