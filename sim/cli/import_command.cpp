#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "calibrate/import/foreign.hpp"
#include "calibrate/import/kernel_tables.hpp"
#include "calibrate/import/vllm_bench.hpp"
#include "calibrate/import/vllm_log.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "models/hardware/catalogue.hpp"
#include "models/profile/measurement_fields.hpp"
#include "sim/cli/command_line.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/cli/table_origin.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

using Import = void (*)(const std::string&, const ForeignOrigin&, ImportReport&, const MeasurementSink&);

void import_folder(const std::string& path, const ForeignOrigin& origin, ImportReport& report,
                   const MeasurementSink& sink) {
  if (origin.gpu.empty()) throw InputError("import: expected --gpu NAME; see sextant catalog gpus");
  TableOrigin table = table_origin(find_gpu(origin.gpu));
  if (!origin.link.empty()) table.link = origin.link;
  import_kernel_tables(path, table, report, sink);
}

/// One kind of file, as the command names it.
struct ImportKind {
  const char* name;
  Import import;
  bool needs_gpu;
  const char* what;
};

constexpr std::array<ImportKind, 10> kinds = {
    {{"kernel-tables", import_folder, true, "a folder of kernel tables (gemm_perf.csv.gz and its like)"},
     {"nccl-tests", import_nccl_tests, true, "output of all_reduce_perf and its like, text or -J"},
     {"perftest", import_perftest, false,
      "output of ib_send_bw, ib_write_lat and their like, text or --out_json"},
     {"iperf3", import_iperf3, false, "output of iperf3 -J"},
     {"nvbandwidth", import_nvbandwidth, true, "output of nvbandwidth, text or -j"},
     {"topo", import_topology, false, "output of nvidia-smi topo -m"},
     {"nccl-log", import_nccl_log, false, "log of a run with NCCL_DEBUG=INFO"},
     {"bench", import_vllm_bench, false,
      "JSON of vllm bench serve --save-result --save-detailed; needs --scenario"},
     {"vllm-log", import_vllm_log, false, "log of vllm serve; needs --scenario"},
     {"measurements", import_measurements, false, "measurement files, to be checked and put into one"}}};

options::options_description import_options() {
  options::options_description description("Options", 100);
  description.add_options()("gpu", options::value<std::string>()->value_name("NAME"),
                            "catalogue name of the GPU that was measured")(
      "link", options::value<std::string>()->value_name("CLASS"),
      "nvlink, pcie, roce, ib or tcp, where the output does not tell; within a node that of the GPU")(
      "op", options::value<std::string>()->value_name("NAME"),
      "operation of nccl-tests whose output does not name it: all_reduce, all_gather, …")(
      "rate-gbps", options::value<double>()->value_name("N"),
      "line rate of the port that perftest used, Gbit/s")("bytes", options::value<double>()->value_name("N"),
                                                          "size of the buffer that nvbandwidth copied")(
      "scenario", options::value<std::string>()->value_name("FILE"),
      "what was deployed when vLLM was measured: a scenario with a fixed deployment")(
      "output,o", options::value<std::string>()->value_name("FILE")->default_value("-"),
      "where the measurements go; - is stdout")("help,h", "this text");
  return description;
}

void print_help(const options::options_description& description) {
  std::string text =
      "sextant import KIND FILE… [--gpu NAME] [-o FILE]\n\n"
      "Turns other tools' output into a measurement file, JSON Lines, and says on stderr how many rows were\n"
      "read, passed on and left out, and why.\n\nKinds:\n";
  for (const ImportKind& kind : kinds) text += fmt::format("  {:<14} {}\n", kind.name, kind.what);
  print(text + "\n" + options_text(description) +
        "\nExamples:\n"
        "  sextant import nccl-tests tests/fixtures/import/nccl-tests.json --gpu rtx-pro-6000-server \\\n"
        "    --link ib -o nccl.jsonl\n"
        "  sextant import perftest tests/fixtures/import/perftest-send-bw.txt --rate-gbps 100 -o rdma.jsonl\n"
        "  sextant import bench result.json --scenario deployed.json -o served.jsonl\n");
}

const ImportKind& find_kind(const std::string& name) {
  std::vector<std::string> names;
  for (const ImportKind& kind : kinds) {
    if (name == kind.name) return kind;
    names.emplace_back(kind.name);
  }
  throw InputError(fmt::format("import: found the kind '{}', expected one of {}{}; see sextant import --help",
                               name, fmt::join(names, ", "), did_you_mean(name, names)));
}

double positive_option(const ParsedWords& parsed, const std::string& name) {
  if (!parsed.has(name)) return 0;
  const auto value = parsed.options[name].as<double>();
  if (!(value > 0) || value > 1e15)
    throw InputError(fmt::format("--{}: found {}, expected a number above 0", name, value));
  return value;
}

std::string choice_option(const ParsedWords& parsed, const std::string& name,
                          const std::vector<std::string>& choices) {
  std::string value = parsed.text(name).value_or("");
  if (!value.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
    throw InputError(fmt::format("--{}: found '{}', expected one of {}{}", name, value,
                                 fmt::join(choices, ", "), did_you_mean(value, choices)));
  return value;
}

ForeignOrigin origin_of(const ParsedWords& parsed, const ImportKind& kind) {
  ForeignOrigin origin;
  origin.gpu = parsed.text("gpu").value_or("");
  if (kind.needs_gpu && origin.gpu.empty())
    throw InputError("import: expected --gpu NAME; see sextant catalog gpus");
  if (!origin.gpu.empty()) find_gpu(origin.gpu);
  origin.link = choice_option(parsed, "link", detail::link_classes());
  origin.operation = choice_option(parsed, "op", detail::collective_operations());
  origin.rate_gbps = positive_option(parsed, "rate-gbps");
  origin.bytes = positive_option(parsed, "bytes");
  origin.scenario = parsed.text("scenario").value_or("");
  const std::string output = parsed.text("output").value_or("-");
  if (output != "-")
    origin.details = output.ends_with(".jsonl") ? output.substr(0, output.size() - 6) : output;
  return origin;
}

/// Refuses to write over the files that --scenario names.
void keep_deployed_files(const std::string& scenario, const ParsedWords& parsed) {
  std::error_code error;
  // A pipe can be read once.
  if (std::filesystem::is_regular_file(scenario, error)) keep_named_files(JsonValue::read(scenario), parsed);
}

/// Refuses two files whose details would go to files of one name.
void expect_own_details(const std::vector<std::string>& words) {
  std::map<std::string, std::string> files;
  for (std::size_t i = 1; i < words.size(); ++i) {
    const auto [other, added] = files.emplace(std::filesystem::path(words[i]).stem().string(), words[i]);
    if (!added)
      throw InputError(
          fmt::format("import: found {} and {}, expected files of different names: each one's "
                      "requests go to OUTPUT.{}.trace.jsonl",
                      other->second, words[i], other->first));
  }
}

}  // namespace

int run_import(const Arguments& words) {
  const options::options_description description = import_options();
  const ParsedWords parsed = parse_words("import", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  if (parsed.arguments.size() < 2)
    throw InputError(
        "import: expected a kind and a file, such as kernel-tables FOLDER; see sextant import --help");
  const ImportKind& kind = find_kind(parsed.arguments.front());
  const ForeignOrigin origin = origin_of(parsed, kind);
  const std::optional<std::string> output = parsed.text("output");
  check_writable("--output", output);
  if (!origin.scenario.empty()) keep_deployed_files(origin.scenario, parsed);
  if (kind.import == import_vllm_bench && !origin.details.empty()) expect_own_details(parsed.arguments);
  TextFileWriter writer(*output);
  ImportReport report;
  const MeasurementSink sink = [&](const Measurement& measurement) {
    writer.write(write_measurement(measurement) + "\n");
  };
  for (std::size_t i = 1; i < parsed.arguments.size(); ++i)
    kind.import(parsed.arguments[i], origin, report, sink);
  writer.commit();
  fmt::print(stderr, "{}", report.text());
  return 0;
}

}  // namespace sextant
