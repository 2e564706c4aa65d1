#include <fmt/core.h>

#include <array>

#include "models/base/error.hpp"
#include "reports/launch/launch_script.hpp"
#include "reports/plan_json.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/planner/choices.hpp"
#include "sim/scenario/mix_question.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

/// A scenario with the deployment that is to be launched, and its simulated candidate.
struct Launch {
  Scenario scenario;
  Candidate candidate;
};

/// One format, as the command names it.
struct ExportFormat {
  const char* name;
  const char* what;
  std::string (*text)(const Launch&, const LaunchChoices&);
};

constexpr std::array<ExportFormat, 6> formats = {
    {{"vllm", "bash script: vllm serve on every node",
      [](const Launch& l, const LaunchChoices& c) {
        return launch_script(l.scenario, l.candidate, ServingEngine::vllm, LaunchBackend::automatic, c);
      }},
     {"sglang", "bash script: sglang.launch_server on every node",
      [](const Launch& l, const LaunchChoices& c) {
        return launch_script(l.scenario, l.candidate, ServingEngine::sglang, LaunchBackend::automatic, c);
      }},
     {"ray", "bash script: vllm serve over a Ray cluster that it starts",
      [](const Launch& l, const LaunchChoices& c) {
        return launch_script(l.scenario, l.candidate, ServingEngine::vllm, LaunchBackend::ray, c);
      }},
     {"kubernetes", "YAML: LeaderWorkerSets and a Service; needs --model and --image",
      [](const Launch& l, const LaunchChoices& c) { return kubernetes_launch(l.scenario, l.candidate, c); }},
     {"slurm", "sbatch script: vllm serve, one task a node",
      [](const Launch& l, const LaunchChoices& c) { return slurm_launch(l.scenario, l.candidate, c); }},
     {"nccl-env", "shell script to source: NCCL's variables with reasons",
      [](const Launch& l, const LaunchChoices&) {
        return nccl_environment_script(l.scenario.name, nccl_environment(l.scenario, l.candidate));
      }}}};

const ExportFormat& find_format(const std::optional<std::string>& name) {
  std::vector<std::string> names;
  std::string all;
  for (const ExportFormat& format : formats) {
    if (name == format.name) return format;
    names.emplace_back(format.name);
    all += (all.empty() ? "" : ", ") + names.back();
  }
  throw InputError(fmt::format("export: found {}, expected --format {}{}",
                               name ? fmt::format("--format '{}'", *name) : "no format", all,
                               name ? did_you_mean(*name, names) : ""));
}

options::options_description export_options() {
  options::options_description description("Options", 100);
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("format,f", text("FORMAT"), "one of the above")(
      "candidate", text("N"), "which of the plan's candidates (default: 1, the best)")(
      "model", text("NAME"),
      "the checkpoint to serve: a repository name or a path; scripts ask for $MODEL without")(
      "of", text("NAME"), "which model, where the plan divides a cluster among several")(
      "image", text("IMAGE"), "container image with the engine (kubernetes)")(
      "port", text("N"), "of the first replica's server (default: 8000)")(
      "output,o", options::value<std::string>()->value_name("FILE")->default_value("-"),
      "where the file goes; - is stdout");
  add_scenario_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  std::string text =
      "sextant export PLAN --format FORMAT [options]\n\n"
      "Writes what launches a plan: PLAN is what `sextant plan --json` wrote, or a scenario, which is "
      "planned first.\n"
      "\nFormats:\n";
  for (const ExportFormat& format : formats) text += fmt::format("  {:<12}{}\n", format.name, format.what);
  print(text + "\n" + options_text(description) +
        "\nExamples:\n  sextant plan scenarios/part1-405b.json --json plan.json\n"
        "  sextant export plan.json --format ray --model "
        "hugging-quants/Meta-Llama-3.1-405B-Instruct-AWQ-INT4 -o "
        "launch.sh\n"
        "\nExit codes: 0 exported, 2 bad input, 3 no layout fits, 130 interrupted.\n");
}

/// The deployment that a plan's layout is.
FixedDeployment deployment_of(const JsonObject& layout) {
  constexpr Range degree{1, 1e6};
  FixedDeployment deployment;
  deployment.tp = static_cast<int>(layout.integer("tp", degree));
  deployment.pp = static_cast<int>(layout.integer("pp", degree));
  deployment.dp = static_cast<int>(layout.integer("dp", degree));
  deployment.ep = static_cast<int>(layout.integer_or("ep", 1, degree));
  for (const JsonValue& replica : layout.at("replicas").array()) {
    std::vector<int> layers;
    for (const JsonValue& value : replica.array()) {
      const JsonObject stage = value.object();
      const JsonObject range = stage.at("layers").object();
      layers.push_back(static_cast<int>(range.integer("end", {1, 1e6}) - range.integer("begin", {0, 1e6})));
      for (const JsonValue& gpu : stage.at("gpus").array()) deployment.placement.push_back(gpu.text());
    }
    if (!deployment.layers.empty() && deployment.layers != layers)
      layout.at("replicas")
          .fail(
              "found replicas cut differently, expected the same layers in each: export one replica's "
              "deployment as a scenario of its own");
    deployment.layers = layers;
  }
  return deployment;
}

/// The deployment of the plan's n-th candidate: one pool or two.
void deploy(const JsonObject& plan, std::uint64_t number, Scenario& scenario) {
  const std::vector<JsonValue> candidates = plan.at("candidates").array();
  if (number > candidates.size())
    throw InputError(fmt::format("--candidate: found {}, expected at most the {} that the plan has", number,
                                 candidates.size()));
  const JsonObject candidate = candidates[number - 1].object();
  scenario.deployment = deployment_of(candidate.at("layout").object());
  const auto prefill = candidate.find("prefill");
  if (!prefill) return;
  if (!scenario.prefill) scenario.prefill.emplace();
  scenario.prefill->deployment = deployment_of(prefill->object().at("layout").object());
}

/// The formats, engine options and load that the n-th candidate has of those to choose from; plans without a
/// choice say none.
std::vector<std::pair<std::string, std::string>> changes_of(const JsonObject& plan, std::uint64_t number) {
  const std::vector<JsonValue> candidates = plan.at("candidates").array();
  std::vector<std::pair<std::string, std::string>> changes;
  if (number > candidates.size()) return changes;  // deploy says so
  const JsonObject candidate = candidates[number - 1].object();
  const auto given = candidate.find("changes");
  if (!given) return changes;
  for (const JsonValue& change : given->array())
    changes.emplace_back(change.object().text("path"), change.object().text("value"));
  return changes;
}

Launch planned(const Scenario& scenario, const PlanOptions& settings, std::uint64_t number) {
  Plan plan = make_plan(scenario, settings);
  if (settings.stop->load()) throw Interrupted();
  if (number > plan.candidates.size())
    throw InputError(fmt::format("--candidate: found {}, expected at most the {} that the plan has", number,
                                 plan.candidates.size()));
  Candidate& candidate = plan.candidates[number - 1];
  return {answered_scenario(scenario, candidate), std::move(candidate)};
}

/// The plan of one model out of a result: the result itself, or of a mix the one that --of names.
JsonObject plan_of(const JsonObject& result, const ParsedWords& parsed) {
  const std::optional<std::string> of = parsed.text("of");
  if (result.text("format") != "sextant mix") {
    if (of)
      throw InputError(fmt::format("export: found --of '{}' for a plan of one model, expected none", *of));
    return result;
  }
  std::vector<std::string> names;
  std::string all;
  for (const JsonValue& plan : result.at("plans").array()) {
    names.push_back(plan.object().at("scenario_document").object().at("model").object().text("name"));
    if (of == names.back()) return plan.object();
    all += (all.empty() ? "" : ", ") + names.back();
  }
  throw InputError(fmt::format("export: found {}, expected --of {}: each model is launched by itself{}",
                               of ? fmt::format("--of '{}'", *of) : "a plan of several models", all,
                               of ? did_you_mean(*of, names) : ""));
}

Launch read_launch(const ParsedWords& parsed) {
  const std::uint64_t number = parsed.whole_number("candidate", 1, 10000).value_or(1);
  PlanOptions settings;
  settings.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  settings.intervals = false;
  settings.stop = watch_for_interrupt();
  const JsonValue document = JsonValue::read(scenario_path("export", parsed));
  if (!document.object().has("format")) {
    if (parsed.has("of"))
      throw InputError("export: found --of for a scenario, expected a mix's plan (--json)");
    if (asks_for_mix(document))
      expect_one_model(
          "export", document,
          "run 'sextant plan --json plan.json' on it, then 'sextant export plan.json --of MODEL'");
    ScenarioInput input = read_scenario_input("export", parsed);
    return planned(input.scenario, settings, number);
  }
  const JsonObject object = plan_of(document.object(), parsed);
  if (object.text("format") == "sextant purchase")
    object.at("format").fail(
        "found \"sextant purchase\", expected \"sextant plan\": describe the purchase as a scenario's "
        "'nodes', plan it, then 'sextant export' it");
  if (object.text("format") != "sextant plan")
    object.at("format").fail(
        fmt::format("found \"{}\", expected \"sextant plan\" or a scenario", object.text("format")));
  object.integer("version", {1, 1});
  if (parsed.has("set") || parsed.has("seed"))
    throw InputError("export: found --set or --seed beside a plan, expected them when it was planned");
  if (!object.has("scenario_document"))
    document.fail("found a plan without its scenario_document, expected one of this version: plan it again");
  Scenario scenario = read_scenario(with_changes(object.at("scenario_document"), changes_of(object, number)));
  keep_named_files(object.at("scenario_document"), parsed);
  deploy(object, number, scenario);
  return planned(scenario, settings, 1);
}

}  // namespace

int run_export(const Arguments& words) {
  const options::options_description description = export_options();
  const ParsedWords parsed = parse_words("export", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const ExportFormat& format = find_format(parsed.text("format"));
  const std::optional<std::string> output = parsed.text("output");
  check_writable("--output", output);
  LaunchChoices choices;
  choices.model = parsed.text("model").value_or("");
  choices.image = parsed.text("image").value_or("");
  constexpr std::uint64_t first_free_port = 1024, last_port = 60000;
  choices.port = static_cast<int>(parsed.whole_number("port", first_free_port, last_port).value_or(8000));
  write_result(output, format.text(read_launch(parsed), choices));
  return 0;
}

}  // namespace sextant
