#pragma once
#include <optional>
#include <string>

#include "sim/cli/command_line.hpp"

namespace sextant {

/// Adds --html and --markdown.
void add_rendered_options(boost::program_options::options_description&);

/// The files that a command renders from its JSON document.
class RenderedFiles {
 public:
  /// Refuses paths that cannot be written and stdout ("-") for two of the command's files. Throws InputError.
  RenderedFiles(const std::string& command, const ParsedWords&);
  bool wanted() const { return html_ || markdown_; }
  /// Whether one goes to stdout, in place of the text.
  bool to_stdout() const { return html_ == "-" || markdown_ == "-"; }
  /// `document` is what --json writes.
  void write(const std::string& document) const;

 private:
  std::optional<std::string> html_, markdown_;
};

/// "sextant plan scenario.json --set workload.request_rate=4": what gives the same figures again, quoted for
/// a shell, without the options that say where results go, how many threads compute and what is printed on
/// the way.
std::string reproduction_command(const std::string& command, const ParsedWords&);

}  // namespace sextant
