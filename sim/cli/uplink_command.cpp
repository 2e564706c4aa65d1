#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "models/llm/memory.hpp"
#include "reports/number_text.hpp"
#include "reports/table.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/scenario_input.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description uplink_options() {
  options::options_description description("Options", 100);
  description.add_options()("json", options::value<std::string>()->value_name("FILE"),
                            "every figure as JSON; - is stdout, without the text");
  add_scenario_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant uplink SCENARIO [options]\n\n"
      "How long model loading, checkpoints and cold starts take over the management network and over the "
      "data "
      "fabric,\n"
      "with one connection and with many, and which rate would be enough. The scenario's \"uplink\" says how "
      "the "
      "nodes hang\non the store (scenarios/README.md).\n\n" +
      options_text(description) +
      "\nExample:\n"
      "  sextant uplink scenarios/part1-405b.json --set "
      "'uplink={\"management_gbits\":25,\"within_seconds\":60}'\n"
      "\nExit codes: 0 answered, 2 bad input.\n");
}

double weight_bytes(const Scenario& scenario) {
  const Architecture& architecture = scenario.model.architecture;
  StageShape whole;
  whole.layers = {0, architecture.layer_count()};
  return stage_weights(architecture, scenario.model.weights, whole).total();
}

std::string text_of(const Scenario& scenario, double bytes, const std::vector<UplinkTime>& times,
                    TextStyle style) {
  Table table({{"errand", Table::Align::left},
               {"network", Table::Align::left},
               {"GB"},
               {"one connection\ns"},
               {"many\ns"}});
  for (const UplinkTime& time : times)
    table.add({time.errand, time.network, gigabytes_text(time.bytes),
               number_text(time.one_connection_seconds), number_text(time.many_connections_seconds)});
  const Uplink& uplink = *scenario.uplink;
  std::string text = paint("Uplink", Tone::strong, style) + "\n" + table.text(style);
  text += fmt::format("  many: {} connections on every NIC or port; one connection takes one of them\n",
                      uplink.connections);
  if (uplink.within_seconds > 0) {
    const double needed = needed_gbits(bytes, uplink.within_seconds, scenario.cluster.network.mtu);
    const double usual = usual_gbits(needed);
    text += fmt::format(
        "  weights to a node within {} s take {} Gbit/s{}\n", number_text(uplink.within_seconds),
        number_text(needed),
        usual > 0 ? fmt::format(": a port of {} Gbit/s", usual) : ": more than one port of 800 Gbit/s");
  }
  return text;
}

std::string json_of(double bytes, const std::vector<UplinkTime>& times) {
  nlohmann::ordered_json json = {{"format", "sextant uplink"}, {"version", 1}, {"weight_bytes", bytes}};
  json["errands"] = nlohmann::ordered_json::array();
  for (const UplinkTime& time : times)
    json["errands"].push_back({{"errand", time.errand},
                               {"network", time.network},
                               {"bytes", time.bytes},
                               {"one_connection_seconds", time.one_connection_seconds},
                               {"many_connections_seconds", time.many_connections_seconds}});
  return json.dump(1) + "\n";
}

}  // namespace

int run_uplink(const Arguments& words) {
  const options::options_description description = uplink_options();
  const ParsedWords parsed = parse_words("uplink", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const ScenarioInput input = read_scenario_input("uplink", parsed);
  if (!input.scenario.uplink)
    throw InputError(
        fmt::format("{}: found no key 'uplink', expected one, or --set 'uplink={{\"management_gbits\":25}}'",
                    input.document.file()));
  const std::optional<std::string> json = parsed.text("json");
  check_writable("--json", json);
  const double bytes = weight_bytes(input.scenario);
  const std::vector<UplinkTime> times = uplink_times(input.scenario.cluster, *input.scenario.uplink, bytes);
  write_result(json, json ? json_of(bytes, times) : "");
  if (json != "-") print(text_of(input.scenario, bytes, times, stdout_style()));
  return 0;
}

}  // namespace sextant
