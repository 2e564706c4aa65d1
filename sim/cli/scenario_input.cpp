#include "sim/cli/scenario_input.hpp"

#include <fmt/core.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "sim/scenario/mix_question.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace options = boost::program_options;

namespace {

using Json = nlohmann::json;

/// Where the files that a scenario names would be replaced.
class NamedFiles {
 public:
  NamedFiles(const std::string& scenario, const ParsedWords& words)
      : scenario_(scenario),
        folder_(std::filesystem::path(scenario).parent_path()),
        written_(written_files(words)) {}

  /// Looks through a part of the scenario that stands under `key`, or at a path that ends in it. Throws
  /// InputError.
  void keep(const std::string& key, const Json& part) const {
    if (written_.empty()) return;
    if (part.is_string()) return keep_text(key.substr(key.rfind('.') + 1), part.get<std::string>());
    if (part.is_array())
      for (const Json& item : part) keep(key, item);
    if (part.is_object())
      for (const auto& [name, value] : part.items()) keep(name, value);
  }

 private:
  void keep_text(const std::string& key, const std::string& text) const {
    if (text.find('\0') != std::string::npos) return;
    const std::filesystem::path path = folder_ / text;
    if (key == "path" || key == "lengths") keep_file(text, path);
    if (key == "model") keep_file(text, text);  // a draft model's path is the command's own
    if (key != "name" || (text.find('/') == std::string::npos && !text.ends_with(".json"))) return;
    keep_file(text, path);
    keep_file("generation_config.json",
              std::filesystem::path(path).replace_filename("generation_config.json"));
  }

  void keep_file(const std::string& name, const std::filesystem::path& path) const {
    const auto found = written_.find(file_behind(path.string()));
    if (found != written_.end())
      throw InputError(fmt::format("{}: found {}, expected another file than {}, which the scenario reads",
                                   scenario_, found->second, name));
  }

  std::string scenario_;
  std::filesystem::path folder_;
  std::map<std::filesystem::path, std::string> written_;
};

}  // namespace

void keep_named_files(const JsonValue& document, const ParsedWords& words) {
  NamedFiles(document.file(), words).keep("", document.json());
}

void keep_named_files(const JsonValue& document, const std::string& path, const std::string& value,
                      const ParsedWords& words) {
  const Json parsed = Json::parse(value, nullptr, false);
  NamedFiles(document.file(), words).keep(path, parsed.is_discarded() ? Json(value) : parsed);
}

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
  JsonValue document = JsonValue::read(path);
  if (words.has("set")) {
    std::vector<std::pair<std::string, std::string>> changes;
    for (const std::string& change : words.options["set"].as<std::vector<std::string>>())
      changes.push_back(parse_change("--set", change));
    document = with_changes(document, changes);
  }
  keep_named_files(document, words);
  return document;
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
