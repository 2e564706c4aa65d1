#pragma once
#include <boost/program_options.hpp>
#include <string>
#include <utility>

#include "sim/cli/command_line.hpp"
#include "sim/scenario/scenario.hpp"

namespace sextant {

/// A scenario as a command works on it: the document with every --set applied, and what it says.
struct ScenarioInput {
  JsonValue document;
  Scenario scenario;
};

/// Adds --set, --seed, --threads and --quiet.
void add_scenario_options(boost::program_options::options_description&);

/// The one argument that is the scenario's file. Throws InputError if there is none or more than one.
std::string scenario_path(const std::string& command, const ParsedWords&);

/// "PATH=VALUE" of an option such as --set, cut at the first '='. Throws InputError.
std::pair<std::string, std::string> parse_change(const std::string& option, const std::string& change);

/// Refuses an output that would replace a file which a scenario names: a config.json, a trace, lengths.
/// Throws InputError.
void keep_named_files(const JsonValue& document, const ParsedWords&);
/// As above, for a change of the scenario: what `value` names at `path`.
void keep_named_files(const JsonValue& document, const std::string& path, const std::string& value,
                      const ParsedWords&);

/// Reads a document and applies --set; its files are not to be written over. Throws InputError.
JsonValue read_document(const std::string& path, const ParsedWords&);

/// Throws InputError for a purchase or a mix of models, which `sextant plan` alone takes: with what `instead`
/// says to do, in words.
void expect_one_model(const std::string& command, const JsonValue& document, const std::string& instead);

/// Reads the scenario of a command; --seed replaces the workload's. Throws InputError.
ScenarioInput read_scenario_input(const std::string& command, const ParsedWords&);

/// How the metrics are computed, for help texts.
std::string metric_formulas();

}  // namespace sextant
