#include <fmt/core.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <map>
#include <set>

#include "calibrate/fit/gpu_fit.hpp"
#include "calibrate/fit/link_fit.hpp"
#include "calibrate/fit/power_fit.hpp"
#include "calibrate/import/kernel_tables.hpp"
#include "models/base/error.hpp"
#include "models/cost/nccl_tuning.hpp"
#include "models/hardware/catalogue.hpp"
#include "models/profile/profile_file.hpp"
#include "sim/cli/command_line.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/table_origin.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description fit_options() {
  options::options_description description("Options", 100);
  description.add_options()("gpu", options::value<std::string>()->value_name("NAME"),
                            "catalogue name of the GPU whose rows are fitted")(
      "kernel-tables", options::value<std::string>()->value_name("FOLDER"),
      "fit a folder of kernel tables (see sextant import)")(
      "rest-from", options::value<std::string>()->value_name("NAME"),
      "profile that says what the rows do not, and whose kernels serving engines run")(
      "link", options::value<std::string>()->value_name("NAME"),
      "fit the link between its GPUs instead, under this name")(
      "power", "fit the power models of all GPUs of the files' power rows instead")(
      "output,o", options::value<std::string>()->value_name("FILE"),
      "where the profile goes; without it only the report is printed")("help,h", "this text");
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant fit [FILE.jsonl…] [--kernel-tables FOLDER] --gpu NAME [--rest-from NAME] [--link NAME] "
      "[-o FILE]\n"
      "sextant fit FILE.jsonl… --power [-o FILE]\n\n"
      "Fits a GPU's profile to kernel measurements, or a link's to collectives, and prints how well it meets "
      "them:\n"
      "errors over rows of serving-like size, and over shapes that a fit of the others did not see.\n\n" +
      options_text(description) +
      "\nExamples:\n"
      "  sextant fit calibrate/measurements/h200-sxm.nccl.jsonl.gz --gpu h200-sxm --link nvlink4 \\\n"
      "    --rest-from nvlink4-tables -o link.nvlink4.json\n"
      "  sextant fit tests/validation/power.jsonl --power -o power.json\n"
      "  sextant fit --kernel-tables tables/h200_sxm --gpu h200-sxm -o gpu.h200-sxm.json\n");
}

/// The command as another could repeat it: without the folders of this machine.
std::string repeatable_command(const ParsedWords& parsed, const std::string& gpu) {
  std::string command = "sextant fit";
  const auto name = [](const std::string& path) {
    return std::filesystem::path(path).lexically_normal().filename().string();
  };
  for (const std::string& file : parsed.arguments) command.append(" ").append(name(file));
  if (const auto folder = parsed.text("kernel-tables")) command += " --kernel-tables " + name(*folder);
  command += " --gpu " + gpu;
  if (const auto rest = parsed.text("rest-from")) command += " --rest-from " + *rest;
  if (const auto link = parsed.text("link")) command += " --link " + *link;
  return command;
}

/// Passes the rows on and returns where the kernel tables among them come from, each repository once.
template <class Fit>
std::set<std::string> add_rows(const ParsedWords& parsed, const TableOrigin& origin, Fit& fit) {
  const auto add = [&](const Measurement& measurement) {
    if (measurement.gpu == origin.gpu) fit.add(measurement);
  };
  std::set<std::string> repositories;
  std::string last;
  for (const std::string& file : parsed.arguments)
    for_each_measurement(file, [&](const Measurement& measurement, std::size_t) { add(measurement); });
  if (const auto folder = parsed.text("kernel-tables"))
    import_kernel_tables(*folder, origin, [&](const Measurement& measurement) {
      if (measurement.source != last) repositories.insert(table_repository(last = measurement.source));
      add(measurement);
    });
  return repositories;
}

std::string provenance(const ParsedWords& parsed, const std::string& gpu,
                       const std::set<std::string>& repositories) {
  std::string made = "made by: " + repeatable_command(parsed, gpu);
  if (repositories.empty()) return made;
  return fmt::format("kernel tables of {}; {}", fmt::join(repositories, " and "), made);
}

/// Counts the rows on their way to a fit by the link that they were measured over.
struct CountedRows {
  LinkFit& fit;
  std::map<std::string, int> links;

  void add(const Measurement& measurement) {
    if (const auto* collective = std::get_if<CollectiveRow>(&measurement.row)) ++links[collective->link];
    if (const auto* p2p = std::get_if<PointToPointRow>(&measurement.row)) ++links[p2p->link];
    fit.add(measurement);
  }
};

/// Refuses files without a row over the link that is fitted, and says over which they are.
void expect_rows_over(const std::map<std::string, int>& links, const TableOrigin& origin,
                      const ParsedWords& parsed) {
  if (links.contains(origin.link)) return;
  std::string found;
  for (const auto& [link, rows] : links)
    found += fmt::format("{}{} over {}", found.empty() ? "" : ", ", rows, link);
  std::vector<std::string> files = parsed.arguments;
  if (const auto folder = parsed.text("kernel-tables")) files.push_back(*folder);
  throw InputError(fmt::format(
      "{}: found {} of the collective and p2p rows of {}, expected rows over {}, the link between "
      "its GPUs, which --link {} is to name",
      fmt::join(files, ", "), found.empty() ? "none" : found, origin.gpu, origin.link, *parsed.text("link")));
}

void fit_link_profile(const ParsedWords& parsed, const Gpu& gpu, const TableOrigin& origin,
                      const std::optional<std::string>& output) {
  LinkFitOptions how;
  how.name = *parsed.text("link");
  how.link = origin.link;
  how.line_gbps = gpu.nvlink_gbps ? gpu.nvlink_gbps->value : pcie_gbps(gpu.pcie_generation, gpu.pcie_lanes);
  how.compute_capability = compute_capability_number(gpu.compute_capability);
  std::optional<LinkProfile> rest;
  if (const auto name = parsed.text("rest-from")) rest = find_link_profile(*name);
  how.rest = rest ? &*rest : nullptr;
  LinkFit fit(how);
  CountedRows rows{fit, {}};
  const std::set<std::string> repositories = add_rows(parsed, origin, rows);
  expect_rows_over(rows.links, origin, parsed);
  LinkFitReport report;
  LinkProfile profile = fit.fit(shipped_assumptions(), report);
  profile.provenance = provenance(parsed, gpu.name, repositories);
  if (rest) profile.provenance += fmt::format("; what that lacks: {}", rest->provenance);
  if (output && output != "-") print(report_text(report));
  write_result(output ? output : "-", write_link_profile(profile));
}

/// The power models of every GPU of the files, and what each row says beside them.
int fit_power(const ParsedWords& parsed, const std::optional<std::string>& output) {
  PowerFit fit;
  std::string command = "sextant fit --power";
  for (const std::string& file : parsed.arguments) {
    for_each_measurement(file, [&](const Measurement& measurement, std::size_t) { fit.add(measurement); });
    command += " " + std::filesystem::path(file).filename().string();
  }
  const PowerRules rules = shipped_power_rules();
  const std::vector<PowerModel> models = fit.fit(rules);
  if (output != "-") print(power_report_text(fit.points(models, rules)));
  write_result(output, write_power_models(models, "made by: " + command));
  return 0;
}

/// Refuses to write over the user's own profile that --rest-from names.
void keep_rest(const ParsedWords& parsed, const std::optional<std::string>& output) {
  const auto rest = parsed.text("rest-from");
  if (!rest || !output || *output == "-") return;
  const auto own = own_profile_file(parsed.has("link") ? "link" : "gpu", *rest);
  if (own && file_behind(*own) == file_behind(*output))
    throw InputError(
        fmt::format("fit: found --output {}, expected another file than what --rest-from reads", *output));
}

}  // namespace

int run_fit(const Arguments& words) {
  const options::options_description description = fit_options();
  const ParsedWords parsed = parse_words("fit", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const std::optional<std::string> name = parsed.text("gpu"), output = parsed.text("output");
  if (parsed.has("power")) {
    if (parsed.arguments.empty() || name || parsed.has("link") || parsed.has("kernel-tables"))
      throw InputError("fit: --power takes measurement files and no --gpu, --link or --kernel-tables");
    check_writable("--output", output);
    return fit_power(parsed, output);
  }
  if (!name) throw InputError("fit: expected --gpu NAME; see sextant catalog gpus");
  if (parsed.arguments.empty() && !parsed.has("kernel-tables"))
    throw InputError("fit: expected measurement files or --kernel-tables FOLDER; see sextant fit --help");
  check_writable("--output", output);
  keep_rest(parsed, output);
  const Gpu& gpu = find_gpu(*name);
  const TableOrigin origin = table_origin(gpu);
  if (parsed.has("link")) {
    fit_link_profile(parsed, gpu, origin, output);
    return 0;
  }
  GpuFit fit(gpu.name);
  const std::set<std::string> repositories = add_rows(parsed, origin, fit);
  FitReport report;
  GpuFitOptions how;
  how.provenance = provenance(parsed, gpu.name, repositories);
  how.from_tables = parsed.has("kernel-tables");
  how.l2_bytes = gpu.l2_bytes ? gpu.l2_bytes->value : 0;
  how.full_clock_mhz = gpu.highest_clock_mhz ? gpu.highest_clock_mhz->value : 0;
  const std::string rest_from = parsed.text("rest-from").value_or("");
  std::optional<GpuProfile> rest;
  if (!rest_from.empty()) rest = find_gpu_profile(rest_from);
  how.rest = rest ? &*rest : nullptr;
  const GpuProfile profile = fit.fit(shipped_assumptions(), how, report);
  if (output != "-") print(report_text(report));
  write_result(output, write_gpu_profile(profile, rest_from));
  return 0;
}

}  // namespace sextant
