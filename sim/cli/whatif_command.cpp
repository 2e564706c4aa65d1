#include <fmt/core.h>

#include "models/base/error.hpp"
#include "reports/launch/quoting.hpp"
#include "reports/whatif_text.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"
#include "sim/cli/scenario_input.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description whatif_options() {
  options::options_description description("Options", 100);
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("set", text("PATH=VALUE"),
                            "a variant with this change; after --variant: one more change of that one")(
      "variant", text("NAME"), "begins a variant of that name; the --set that follow make it")(
      "base", text("PATH=VALUE"), "change the base and with it every variant; may be repeated")(
      "no-search", "do not look for a variant's own best layout")(
      "no-intervals", "skip the 90 % intervals of the differences: 18 simulations less for each column")(
      "json", text("FILE"), "every figure as JSON (reports/README.md); - is stdout, without the text")(
      "csv", text("FILE"), "one row for base and each variant; - is stdout, without the text");
  add_rendered_options(description);
  description.add_options()("seed", text("N"), "replaces workload.seed")(
      "threads", text("N"), "threads (default: all cores)")("quiet,q", "no progress on stderr")("help,h",
                                                                                                "this text");
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant whatif SCENARIO [--set PATH=VALUE]… [--variant NAME --set PATH=VALUE --set PATH=VALUE]…\n\n"
      "Shows the base and each variant side by side, what moves, by how much, why, and whether that is more\n"
      "than the error of the prediction. Without --set the scenario's own variants are taken. A variant "
      "keeps\nthe base's layout where it can; where another is better, that is shown as well.\n\n" +
      options_text(description) +
      "\nExamples (of a scenario with two nodes, node-a of two cards):\n"
      "  sextant whatif scenarios/part3-400g.json \\\n"
      "    --variant '400 Gbit/s'          --set 'cluster.nodes[*].nic=connectx-7-400' \\\n"
      "    --variant 'one more NIC'        --set "
      "'cluster.nodes[*].nic={\"nic\":\"connectx-7-200\",\"count\":2}' \\\n"
      "    --variant 'GPUDirect off'       --set cluster.network.gpudirect=false \\\n"
      "    --variant 'a port at half speed' --set "
      "'cluster.nodes[1].nic={\"nic\":\"connectx-7-200\",\"port_gbits\":100}' \\\n"
      "    --variant 'half speed for 60 s' --set "
      "'faults=[{\"at_s\":300,\"what\":\"link-slow\",\"where\":\"node-b/nic0\",\"to\":0.5,\"for_s\":60}]' "
      "\\\n"
      "    --variant 'MTU 1500'            --set cluster.network.mtu=1500 \\\n"
      "    --variant 'a GPU at 80 % clock' --set "
      "'cluster.nodes[1].gpus={\"rtx-pro-6000-workstation\":{\"count\":1,\"clock\":0.8}}' \\\n"
      "    --variant 'a GPU lost'          --set 'cluster.lost=[\"node-a/gpu1\"]' \\\n"
      "    --variant 'a GPU lost for 60 s' --set "
      "'faults=[{\"at_s\":300,\"what\":\"gpu-lost\",\"where\":\"node-b/gpu0\",\"for_s\":60}]' \\\n"
      "    --variant 'a noisy neighbour'   --set "
      "'background=[{\"from\":\"node-a/nic0\",\"to\":\"node-b/nic0\",\"what\":\"checkpoint\"}]' \\\n"
      "    --variant 'and PFC pauses'      --set cluster.network.congestion=pfc --set "
      "'background=[{\"from\":\"node-a/nic0\",\"to\":\"node-b/nic0\",\"what\":\"checkpoint\"}]'\n"
      "  sextant whatif scenarios/part3-400g.json --base "
      "'cluster.network={\"leaf_spine\":{\"nodes_per_leaf\":1,\"spines\":2,\"uplink_gbits\":100}}' \\\n"
      "    --variant 'one spine of two lost' --set 'cluster.lost=[\"spine0\"]' \\\n"
      "    --variant 'a switch gone'       --set 'cluster.lost=[\"leaf-rack-b\"]'\n\n"
      "Exit codes: 0 shown (a variant that cannot be is a row with its reason), 2 bad input, 3 nothing fits "
      "the\nbase, 130 interrupted.\n");
}

/// The words that are not about variants, and the variants.
struct VariantWords {
  Arguments rest;
  std::vector<Variant> variants;
  std::vector<std::pair<std::string, std::string>> base;
};

/// "cluster.nodes[*].nic=connectx-7-400" -> "nic=connectx-7-400", for a column.
std::string short_name(const std::string& change) {
  const std::size_t dot = change.substr(0, change.find('=')).rfind('.');
  return dot == std::string::npos ? change : change.substr(dot + 1);
}

/// Takes --variant, --set and --base out of the words: which --set belongs to which --variant is a matter of
/// order.
VariantWords take_variants(const Arguments& words) {
  VariantWords taken;
  bool named = false;
  const auto finish = [&] {
    if (named && taken.variants.back().changes.empty())
      throw InputError(fmt::format("--variant {}: found no --set after it, expected at least one",
                                   taken.variants.back().name));
  };
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string option = words[i], value;
    const std::size_t equals = option.find('=');
    if (equals != std::string::npos && option.starts_with("--")) {
      value = option.substr(equals + 1);
      option.resize(equals);
    }
    if (option != "--variant" && option != "--set" && option != "--base") {
      taken.rest.push_back(words[i]);
      continue;
    }
    if (option == words[i]) {
      if (i + 1 == words.size())
        throw InputError(fmt::format("whatif: found {} at the end, expected a value", option));
      value = words[++i];
    }
    if (option == "--variant") {
      finish();
      named = true;
      taken.variants.push_back({value, {}});
    } else if (option == "--base") {
      taken.base.push_back(parse_change("--base", value));
    } else {
      if (!named) taken.variants.push_back({short_name(value), {}});
      taken.variants.back().changes.push_back(parse_change("--set", value));
    }
  }
  finish();
  return taken;
}

/// The --base, --variant and --set words as given, quoted for a shell: their order matters.
std::string change_words(const Arguments& words) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i)
    for (const std::string option : {"--variant", "--set", "--base"}) {
      if (words[i].starts_with(option + "=")) text += fmt::format(" {}", shell_word(words[i]));
      if (words[i] == option && i + 1 < words.size())
        text += fmt::format(" {} {}", option, shell_word(words[++i]));
    }
  return text;
}

}  // namespace

int run_whatif(const Arguments& words) {
  const options::options_description description = whatif_options();
  const VariantWords taken = take_variants(words);
  const ParsedWords parsed = parse_words("whatif", taken.rest, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const std::optional<std::string> json = parsed.text("json"), csv = parsed.text("csv");
  const std::string command = reproduction_command("whatif", parsed) + change_words(words);
  const std::string path = scenario_path("whatif", parsed);
  JsonValue document = with_changes(JsonValue::read(path), taken.base);
  if (const auto seed = parsed.whole_number("seed", 0, std::uint64_t{1} << 53))
    document = with_changes(document, {{"workload.seed", fmt::format("{}", *seed)}});
  expect_one_model("whatif", document,
                   fmt::format("run 'sextant plan {} --set PATH=VALUE' once for each variant", path));
  const std::vector<Variant> variants =
      taken.variants.empty() ? read_scenario(document).variants : taken.variants;
  if (variants.empty())
    throw InputError(fmt::format("{}: found no variants, expected them in the scenario or a --set", path));
  keep_named_files(document, parsed);
  for (const Variant& variant : variants)
    for (const auto& [where, value] : variant.changes) keep_named_files(document, where, value, parsed);
  check_writable("--json", json);
  check_writable("--csv", csv);
  const RenderedFiles rendered("whatif", parsed);

  WhatIfOptions settings;
  settings.plan.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  settings.plan.intervals = !parsed.has("no-intervals");
  settings.search = !parsed.has("no-search");
  settings.plan.stop = watch_for_interrupt();
  WhatIf result;
  {
    Progress progress("simulating layouts", parsed.has("quiet"));
    settings.plan.progress = [&](int done, int total) { progress.show(done, total); };
    result = what_if(document, variants, settings);
  }
  if (settings.plan.stop->load()) throw Interrupted();
  const std::string written = json || rendered.wanted() ? whatif_json(result, document, command) : "";
  write_result(json, written);
  rendered.write(written);
  write_result(csv, csv ? whatif_csv(result) : "");
  if (json != "-" && csv != "-" && !rendered.to_stdout()) print(whatif_text(result, stdout_style()));
  return 0;
}

}  // namespace sextant
