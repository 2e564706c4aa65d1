#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "models/base/error.hpp"
#include "reports/comparison.hpp"
#include "reports/markdown.hpp"
#include "reports/result_csv.hpp"
#include "reports/result_file.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description report_options() {
  options::options_description description("Options", 100);
  const auto file = [] { return options::value<std::string>()->value_name("FILE"); };
  description.add_options()("csv", file(), "the result's rows; - is stdout, without the text")(
      "json", file(), "of two results: the comparison as JSON (reports/README.md)");
  add_rendered_options(description);
  description.add_options()("help,h", "this text");
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant report RESULT.json [options]\n"
      "sextant report A.json B.json [options]\n\n"
      "Renders what plan, simulate, whatif, sweep or validate saved with --json, without computing it "
      "again.\n"
      "Of two results it says where they differ: each figure of both, the change in percent, and whether one "
      "lies outside "
      "the other's\n"
      "90 % interval. Plans and simulations are lined up by metric, validations by group and row, sweeps by "
      "point.\n\n" +
      options_text(description) +
      "\nExamples:\n"
      "  sextant plan scenarios/part1-405b.json --json monday.json\n"
      "  sextant report monday.json --html monday.html\n"
      "  sextant plan scenarios/part1-405b.json --set workload.seed=2 --json tuesday.json\n"
      "  sextant report monday.json tuesday.json --markdown difference.md\n"
      "\nExit codes: 0 rendered, 2 bad input (no result of sextant, or two of different kinds).\n");
}

nlohmann::ordered_json result_of(const std::vector<std::string>& files) {
  nlohmann::ordered_json first = read_result(files[0]);
  if (files.size() == 1) return first;
  const nlohmann::ordered_json second = read_result(files[1]);
  return compare_results({files[0], &first}, {files[1], &second});
}

/// What the terminal shows: Markdown reads well as text, too.
std::string terminal_text(const nlohmann::ordered_json& result) {
  return result["format"] == "sextant comparison" ? comparison_text(result, stdout_style())
                                                  : result_markdown(result);
}

}  // namespace

int run_report(const Arguments& words) {
  const options::options_description description = report_options();
  const ParsedWords parsed = parse_words("report", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const std::vector<std::string>& files = parsed.arguments;
  if (files.empty() || files.size() > 2)
    throw InputError(fmt::format(
        "report: found {} files, expected one result, or two to compare; see sextant report --help",
        files.size()));
  const std::optional<std::string> csv = parsed.text("csv"), json = parsed.text("json");
  if (json && files.size() == 1)
    throw InputError("report: found --json for one result, expected two to compare");
  check_writable("--csv", csv);
  check_writable("--json", json);
  const RenderedFiles rendered("report", parsed);
  const nlohmann::ordered_json result = result_of(files);
  constexpr int indent = 1;
  if (csv && (result["format"] == "sextant whatif" || result["format"] == "sextant purchase" ||
              result["format"] == "sextant mix"))
    throw InputError(
        fmt::format("report: found --csv for a {}, expected --html or --markdown; its command has --csv",
                    result["format"].get<std::string>()));
  const std::string document =
      result.dump(indent, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
  write_result(json, document);
  write_result(csv, csv ? result_csv(result) : "");
  rendered.write(document);
  if (json != "-" && csv != "-" && !rendered.to_stdout()) print(terminal_text(result));
  return 0;
}

}  // namespace sextant
