#include <fmt/core.h>

#include <algorithm>

#include "calibrate/doctor/doctor.hpp"
#include "calibrate/import/foreign.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "sim/cli/doctor_text.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/scenario_input.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

using Paths = std::vector<std::string>;

constexpr const char* file_options[] = {"nccl-log", "topo",     "ibstat",     "ibv-devinfo", "mlnx-qos",
                                        "lspci",    "perftest", "nccl-tests", "iperf3",      "measurements"};

options::options_description doctor_options() {
  options::options_description description("Options", 100);
  const auto files = [] { return options::value<Paths>()->value_name("FILE")->composing(); };
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()("nccl-log", files(),
                            "log of a run with NCCL_DEBUG=INFO; each of these may be repeated")(
      "topo", files(), "output of nvidia-smi topo -m")("ibstat", files(), "output of ibstat")(
      "ibv-devinfo", files(), "output of ibv_devinfo -v")(
      "mlnx-qos", files(), "output of mlnx_qos -i INTERFACE")("lspci", files(),
                                                              "output of lspci -vv, as root")(
      "perftest", files(),
      "output of ib_send_bw, ib_write_lat and their like; with --use_cuda and without it belong together")(
      "nccl-tests", files(), "output of all_reduce_perf and its like; one node and two belong together")(
      "iperf3", files(), "output of iperf3 -J")("measurements", files(), "our own measurement files")(
      "root", text("DIR"),
      "where sys and dev are: / for this machine, which is also looked at if no file is given")(
      "rate-gbps", options::value<double>()->value_name("N"),
      "what a port should run at, Gbit/s; else as the scenario's NIC")(
      "gpu", text("NAME"), "catalogue name of the GPU of --nccl-tests; else the scenario's")(
      "link", text("CLASS"),
      "of --nccl-tests, where its output does not tell: nvlink, pcie, roce, ib or tcp")(
      "op", text("NAME"), "of --nccl-tests before 2.17, whose output does not name it: all_reduce, …")(
      "json", text("FILE"), "the same as JSON (calibrate/doctor/README.md); - is stdout, without the text");
  add_scenario_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant doctor [SCENARIO] [options]\n\n"
      "Says what is wrong with a fabric: what was found, what was expected and who says so, what it costs "
      "the\n"
      "scenario in output tokens/s (simulated), and the command that mends it. Looks at this machine, or at "
      "what\n"
      "other tools have written, or both.\n\n" +
      options_text(description) +
      "\nExamples:\n"
      "  sextant doctor scenarios/part1-405b.json --nccl-log "
      "tests/calibrate/doctor/logs/half-rate.txt\n"
      "  sextant doctor scenarios/part1-405b.json --root /\n"
      "  sextant doctor --rate-gbps 200 --ibstat tests/fixtures/import/rdma-ibstat.txt \\\n"
      "    --topo tests/fixtures/import/topo-pcie.txt\n"
      "\nExit codes: 0 nothing wrong (what could not be checked is said), 2 bad input, 4 something is wrong "
      "or\n"
      "doubtful, 130 interrupted.\n");
}

Paths paths_of(const ParsedWords& words, const char* option) {
  return words.has(option) ? words.options[option].as<Paths>() : Paths();
}

bool any_file(const ParsedWords& words) {
  for (const char* option : file_options)
    if (words.has(option)) return true;
  return false;
}

FabricExpectation expectation(const ParsedWords& words, const std::optional<ScenarioInput>& input) {
  FabricExpectation expected = input ? expectation_of(input->scenario.cluster) : FabricExpectation();
  if (!words.has("rate-gbps")) return expected;
  const auto rate = words.options["rate-gbps"].as<double>();
  constexpr double fastest = 1e5;
  if (!(rate > 0) || rate > fastest)
    throw InputError(fmt::format("--rate-gbps: found {}, expected a number above 0", rate));
  expected.port_gbps = rate;
  expected.port_source = "--rate-gbps";
  return expected;
}

/// What foreign rows do not say of themselves, from options and scenario.
ForeignOrigin origin_of(const ParsedWords& words, const std::optional<ScenarioInput>& input,
                        const Doctor& doctor) {
  ForeignOrigin origin;
  origin.gpu = words.text("gpu").value_or("");
  if (!origin.gpu.empty()) find_gpu(origin.gpu);
  if (origin.gpu.empty() && input) {
    const Cluster& cluster = input->scenario.cluster;
    origin.gpu = cluster.devices[static_cast<std::size_t>(cluster.gpus().front())].model;
  }
  origin.link = words.text("link").value_or("");
  origin.operation = words.text("op").value_or("");
  origin.rate_gbps = doctor.port_gbps().value_or(0);
  return origin;
}

using Import = void (*)(const std::string&, const ForeignOrigin&, ImportReport&, const MeasurementSink&);

/// Reads one tool's files into rows that are looked at together.
void look_at_measured(Doctor& doctor, const Paths& paths, Import import, const ForeignOrigin& origin) {
  std::vector<Measurement> rows;
  std::string where;
  for (const std::string& path : paths) {
    ImportReport report;
    import(path, origin, report, [&](const Measurement& row) { rows.push_back(row);
  });
  where += (where.empty() ? "" : ", ") + path;
}
if (!rows.empty()) doctor.look_at_rows(rows, where);
}  // namespace

void look_at_log(Doctor& doctor, const std::string& path) {
  NcclLogFacts facts;
  for_each_line(path, [&](std::string_view line, std::size_t) { facts.read(line); });
  if (facts.lines == 0)
    throw InputError(
        fmt::format("{}: found no line of NCCL's, expected the output of a run with NCCL_DEBUG=INFO", path));
  doctor.look_at_nccl_log(facts, path);
}

void look_at_topology(Doctor& doctor, const std::string& path) {
  ImportReport report;
  import_topology(path, {}, report, [&](const Measurement& row) {
    if (const OtherRow* context = std::get_if<OtherRow>(&row.row))
      doctor.look_at_topology(JsonValue::parse(context->json, path), path);
  });
}

void look(Doctor& doctor, const ParsedWords& words, const std::optional<ScenarioInput>& input) {
  if (words.has("root") || !any_file(words))
    doctor.look_at_machine(read_machine(words.text("root").value_or("/")));
  for (const std::string& path : paths_of(words, "ibstat")) doctor.look_at_ports(read_ibstat(path), path);
  for (const std::string& path : paths_of(words, "ibv-devinfo"))
    doctor.look_at_ports(read_ibv_devinfo(path), path);
  for (const std::string& path : paths_of(words, "lspci")) doctor.look_at_pcie(read_lspci(path), path);
  for (const std::string& path : paths_of(words, "mlnx-qos")) doctor.look_at_qos(read_mlnx_qos(path), path);
  for (const std::string& path : paths_of(words, "topo")) look_at_topology(doctor, path);
  for (const std::string& path : paths_of(words, "nccl-log")) look_at_log(doctor, path);
  const ForeignOrigin origin = origin_of(words, input, doctor);
  if (words.has("perftest") && origin.rate_gbps <= 0)
    doctor.could_not_check("perftest",
                           "the port's rate is not known; give a scenario, --rate-gbps or --ibstat");
  else
    look_at_measured(doctor, paths_of(words, "perftest"), import_perftest, origin);
  look_at_measured(doctor, paths_of(words, "nccl-tests"), import_nccl_tests, origin);
  look_at_measured(doctor, paths_of(words, "iperf3"), import_iperf3, origin);
  look_at_measured(doctor, paths_of(words, "measurements"), import_measurements, origin);
}

/// Simulates what the findings cost.
void price(DoctorReport& report, const ScenarioInput& input, const ParsedWords& words) {
  PlanOptions settings;
  settings.threads = static_cast<int>(words.whole_number("threads", 1, 1024).value_or(0));
  settings.stop = watch_for_interrupt();
  Progress progress("pricing findings", words.has("quiet"));
  Pricer pricer(input, settings);
  report.scenario = input.scenario.name;
  report.layout = pricer.layout();
  report.base = pricer.base();
  std::vector<ScenarioChange> all;
  int kinds = 0, done = 0;
  for (const Finding& finding : report.diagnosis.findings) {
    progress.show(++done, static_cast<int>(report.diagnosis.findings.size()));
    report.prices.emplace_back();
    if (finding.changes.empty() || finding.severity == Severity::note) continue;
    report.prices.back() = pricer.price(finding.changes);
    if (settings.stop->load()) throw Interrupted();
    if (!report.prices.back()->output_throughput) continue;
    bool is_new = false;
    for (const ScenarioChange& change : finding.changes)
      if (std::find(all.begin(), all.end(), change) == all.end()) {
        all.push_back(change);
        is_new = true;
      }
    kinds += is_new ? 1 : 0;
  }
  if (kinds > 1) report.together = pricer.price(all);
}

}  // namespace sextant

int run_doctor(const Arguments& words) {
  const options::options_description description = doctor_options();
  const ParsedWords parsed = parse_words("doctor", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  std::optional<ScenarioInput> input;
  if (!parsed.arguments.empty()) input = read_scenario_input("doctor", parsed);
  if (!input && parsed.has("set"))
    throw InputError("doctor: found --set without a scenario, expected sextant doctor SCENARIO --set …");
  const std::optional<std::string> json = parsed.text("json");
  check_writable("--json", json);

  const Symptoms symptoms = shipped_symptoms();
  Doctor doctor(symptoms, expectation(parsed, input));
  look(doctor, parsed, input);
  DoctorReport report;
  report.diagnosis = doctor.result();
  if (input) price(report, *input, parsed);
  write_result(json, json ? doctor_json(report, symptoms) : "");
  if (json != "-") print(doctor_text(report, symptoms, stdout_style()));
  return static_cast<int>(report.diagnosis.something_wrong() ? ExitCode::threshold_missed : ExitCode::ok);
}

}  // namespace sextant
