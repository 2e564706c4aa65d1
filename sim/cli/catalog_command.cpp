#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "models/base/error.hpp"
#include "sim/cli/catalog_collective.hpp"
#include "sim/cli/catalog_text.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/scenario/purchase_question.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description catalog_options() {
  options::options_description description("Options", 100);
  description.add_options()("dot", "a scenario's cluster for Graphviz")("json",
                                                                        "a scenario's cluster as JSON")(
      "set", options::value<std::vector<std::string>>()->value_name("PATH=VALUE")->composing(),
      "change the scenario first: --set 'cluster.nodes[*].nic=connectx-7-400'; may be repeated");
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("gpu", text("NAME"), "the GPUs of a machine's topology file, by catalogue name")(
      "nic", text("NAME"), "its network cards")("socket-gbps", text("N"),
                                                "10^9 B/s each way between its sockets");
  add_collective_options(description);
  description.add_options()("help,h", "this text");
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant catalog [models|gpus|nics|switches|nodes|profiles] [NAME]\n"
      "sextant catalog SCENARIO [--dot|--json]\n"
      "sextant catalog TOPOLOGY --gpu NAME [--nic NAME] [--socket-gbps N] [--dot|--json]\n"
      "sextant catalog collective --ranks N --intra LINK [--nodes N --inter LINK] [--op OP] [--bytes "
      "LIST]\n\n"
      "Lists what Sextant knows, shows one entry's figures with their grades, sources and notes, or the "
      "devices and\n"
      "links that a scenario's cluster expands to, or that a machine's topology file (NCCL_TOPO_DUMP_FILE, "
      "lstopo's xml, "
      "sextant\nimport topology) has; or how long NCCL takes for a collective with each "
      "algorithm "
      "and\nprotocol, and which of them it chooses.\n\n" +
      options_text(description) +
      "\nExamples:\n"
      "  sextant catalog gpus rtx-pro-6000-server\n"
      "  sextant catalog scenarios/part1-405b.json --dot\n"
      "  sextant catalog collective --ranks 4 --nodes 2 --intra nvlink4 --inter ib-400 --bytes 8M,64M\n");
}

std::string kinds_text(TextStyle style) {
  std::string text;
  for (const std::string& kind : catalog_kinds())
    text += (text.empty() ? "" : "\n") + kind + "\n" + catalog_list(kind, style);
  return text;
}

bool looks_like_file(const std::string& word) {
  return word.find('/') != std::string::npos || word.ends_with(".json") || std::filesystem::exists(word);
}

Cluster machine_of(const std::string& path, const ParsedWords& words) {
  if (words.has("set")) throw InputError("catalog: found --set, expected none with a machine's topology");
  HostParts parts;
  parts.gpu = *words.text("gpu");
  parts.node_type = find_gpu(parts.gpu).nvlink_gbps ? "hgx" : "server-pcie";
  parts.nic = words.text("nic").value_or("");
  parts.socket_gbps = static_cast<double>(words.whole_number("socket-gbps", 1, 100000).value_or(0));
  return observed_cluster(path, parts);
}

Cluster cluster_of(const JsonValue& scenario) {
  const JsonValue cluster = scenario.object().at("cluster");
  if (asks_for_purchase(scenario))
    cluster.fail("found 'choose-from', expected 'nodes': what is still to be bought has no graph");
  return read_cluster(cluster);
}

std::string scenario_text(const std::string& path, const ParsedWords& words) {
  const Cluster cluster = words.has("gpu") ? machine_of(path, words) : cluster_of(read_document(path, words));
  if (words.has("dot")) return to_dot(cluster);
  return words.has("json") ? cluster_json(cluster) : cluster_text(cluster, stdout_style());
}

}  // namespace

int run_catalog(const Arguments& words) {
  const options::options_description description = catalog_options();
  const ParsedWords parsed = parse_words("catalog", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  if (parsed.has("dot") && parsed.has("json"))
    throw InputError("catalog: found --dot and --json, expected one of them");
  const std::vector<std::string>& arguments = parsed.arguments;
  if (!arguments.empty() && arguments[0] == "collective") {
    print(collective_text(parsed, stdout_style()));
    return 0;
  }
  refuse_collective_options(parsed);
  const std::vector<std::string> kinds = catalog_kinds();
  const bool is_kind =
      !arguments.empty() && std::find(kinds.begin(), kinds.end(), arguments[0]) != kinds.end();
  const std::size_t most = is_kind ? 2 : 1;
  if (arguments.size() > most)
    throw InputError(fmt::format("catalog: found '{}' too many, expected a kind and a name, or a scenario",
                                 arguments[most]));
  const bool is_scenario = !is_kind && !arguments.empty() && looks_like_file(arguments[0]);
  if (!is_kind && !is_scenario && !arguments.empty())
    throw InputError(
        fmt::format("catalog: found '{}', expected models, gpus, nics, switches, nodes, profiles, collective "
                    "or a scenario's file{}",
                    arguments[0], did_you_mean(arguments[0], kinds)));
  if (!(is_scenario && parsed.has("gpu")) && (parsed.has("nic") || parsed.has("socket-gbps")))
    throw InputError("catalog: --nic and --socket-gbps need a machine's topology and --gpu");
  if (!is_scenario && parsed.has("gpu")) throw InputError("catalog: --gpu needs a machine's topology");
  if (!is_scenario && (parsed.has("dot") || parsed.has("json") || parsed.has("set")))
    throw InputError("catalog: --dot, --json and --set need a scenario");

  if (is_scenario)
    print(scenario_text(arguments[0], parsed));
  else if (arguments.empty())
    print(kinds_text(stdout_style()));
  else if (arguments.size() == 1)
    print(catalog_list(arguments[0], stdout_style()));
  else
    print(catalog_entry(arguments[0], arguments[1], stdout_style()));
  return 0;
}

}  // namespace sextant
