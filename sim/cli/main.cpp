#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options/errors.hpp>
#include <cstdio>
#include <exception>
#include <new>

#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"
#include "reports/terminal.hpp"
#include "sim/cli/commands.hpp"
#include "sim/cli/output.hpp"

namespace sextant {
namespace {

/// A sub-command as `sextant --help` lists it.
struct Command {
  const char* name;
  const char* does;
  int (*run)(const Arguments&);
};

constexpr Command commands[] = {
    {"plan", "searches layouts for a scenario, simulates, ranks and explains them", run_plan},
    {"simulate", "runs a fixed deployment event by event and prints its serving metrics", run_simulate},
    {"whatif", "base and variants side by side: what a change moves, and why", run_whatif},
    {"sweep", "computes a grid of scenarios, on this machine or in shards on a cluster", run_sweep},
    {"report", "renders a saved result as a page, Markdown or CSV, or compares two", run_report},
    {"export", "writes commands, manifests and environment that launch a plan", run_export},
    {"catalog", "shows models, GPUs, NICs, switches, nodes, profiles, or a scenario's cluster", run_catalog},
    {"uplink", "how long loading, checkpoints and cold starts take over each network", run_uplink},
    {"fit", "turns measurements into a profile", run_fit},
    {"validate", "predicts measured rows and says how far off the predictions are", run_validate},
    {"doctor", "says what is wrong with a fabric, what it costs and what mends it", run_doctor},
    {"import", "turns other tools' files into measurements", run_import},
};

std::string overview() {
  std::string text =
      "sextant COMMAND [arguments]: plans and simulates the inference of large language "
      "models\n\nCommands:\n";
  for (const Command& command : commands) text += fmt::format("  {:<10}{}\n", command.name, command.does);
  return text +
         "\n`sextant COMMAND --help` has each command's options and an example; `sextant --version`.\n";
}

const Command& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands) {
    if (name == command.name) return command;
    names.emplace_back(command.name);
  }
  throw InputError(
      fmt::format("found the unknown command '{}'{}; see sextant --help", name, did_you_mean(name, names)));
}

int run(const Arguments& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h" ||
      (words[0] == "help" && words.size() == 1)) {
    print(overview());
    return 0;
  }
  if (words[0] == "--version") {
    print("sextant " SEXTANT_VERSION "\n");
    return 0;
  }
  if (words[0] == "help") return find_command(words[1]).run({"--help"});
  return find_command(words[0]).run({words.begin() + 1, words.end()});
}

int fail(ExitCode code, const std::string& message) {
  constexpr std::size_t longest = 2000;
  fmt::print(stderr, "sextant: {}\n", printable(message, longest));
  return static_cast<int>(code);
}

}  // namespace
}  // namespace sextant

int main(int count, char** words) {
  using namespace sextant;
  try {
    return run(Arguments(words + std::min(count, 1), words + count));
  } catch (const Error& error) {
    return fail(error.code(), error.what());
  } catch (const boost::program_options::error& error) {
    return fail(ExitCode::bad_input, error.what());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::failure, "out of memory");
  } catch (const std::exception& error) {
    return fail(ExitCode::failure, std::string("internal error: ") + error.what());
  }
}
