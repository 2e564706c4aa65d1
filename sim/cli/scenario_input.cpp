#include "sim/cli/scenario_input.hpp"

#include <fmt/core.h>

#include <limits>

#include "models/base/error.hpp"
#include "sim/scenario/mix_question.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace options = boost::program_options;

void add_scenario_options(options::options_description& description) {
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("set",
                            options::value<std::vector<std::string>>()->value_name("PATH=VALUE")->composing(),
                            "change the scenario: --set workload.request_rate=4, --set "
                            "'cluster.nodes[*].nic=connectx-7-400'; may be repeated")(
      "seed", text("N"), "replaces workload.seed")("threads", text("N"), "threads (default: all cores)")(
      "quiet,q", "no progress on stderr")("help,h", "this text");
}

std::string scenario_path(const std::string& command, const ParsedWords& words) {
  if (words.arguments.empty())
    throw InputError(fmt::format("{}: found no scenario, expected sextant {} SCENARIO", command, command));
  if (words.arguments.size() > 1)
    throw InputError(
        fmt::format("{}: found '{}' after the scenario, expected one scenario", command, words.arguments[1]));
  return words.arguments.front();
}

std::pair<std::string, std::string> parse_change(const std::string& option, const std::string& change) {
  const std::size_t equals = change.find('=');
  if (equals == std::string::npos || equals == 0)
    throw InputError(
        fmt::format("{}: found '{}', expected PATH=VALUE such as workload.request_rate=4", option, change));
  return {change.substr(0, equals), change.substr(equals + 1)};
}

JsonValue read_document(const std::string& path, const ParsedWords& words) {
  const JsonValue document = JsonValue::read(path);
  if (!words.has("set")) return document;
  std::vector<std::pair<std::string, std::string>> changes;
  for (const std::string& change : words.options["set"].as<std::vector<std::string>>())
    changes.push_back(parse_change("--set", change));
  return with_changes(document, changes);
}

void expect_one_model(const std::string& command, const JsonValue& document, const std::string& instead) {
  if (asks_for_purchase(document))
    document.object().at("cluster").fail(
        fmt::format("found 'choose-from', expected 'nodes': sextant {} takes hardware that is there; {}",
                    command, instead));
  if (asks_for_mix(document))
    document.object().at("models").fail(
        fmt::format("found several models on one cluster, expected 'model': sextant {} takes one model; {}",
                    command, instead));
}

ScenarioInput read_scenario_input(const std::string& command, const ParsedWords& words) {
  const JsonValue document = read_document(scenario_path(command, words), words);
  Scenario scenario = read_scenario(document);
  if (const auto seed = words.whole_number("seed", 0, std::numeric_limits<std::uint64_t>::max()))
    scenario.workload.seed = *seed;
  return {document, std::move(scenario)};
}

std::string metric_formulas() {
  return "Metrics carry the names and formulas of `vllm bench serve`:\n"
         "  TTFT  first token - arrival\n"
         "  TPOT  (E2EL - TTFT) / (output tokens - 1), over requests of at least two output tokens\n"
         "  ITL   every gap between two tokens of a request, all requests pooled\n"
         "  E2EL  last token - arrival\n"
         "  percentiles interpolate linearly between order statistics\n";
}

}  // namespace sextant
