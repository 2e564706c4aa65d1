#include <fmt/core.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include "models/base/error.hpp"
#include "reports/validation_text.hpp"
#include "sim/cli/command_line.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;
using Texts = std::vector<std::string>;

options::options_description validate_options() {
  options::options_description description("Options", 100);
  const auto file = [] { return options::value<std::string>()->value_name("FILE"); };
  description.add_options()(
      "profile", options::value<Texts>()->value_name("FILE")->composing(),
      "a GPU profile (from sextant fit) in place of the shipped one of its GPU; may be repeated")(
      "fail-above", options::value<Texts>()->value_name("BOUND")->composing(),
      "exit with 4 where an error is larger: KIND[/PART][:GPU]:STATISTIC=PERCENT with STATISTIC one of "
      "median, p90, "
      "worst, bias; without a GPU for each GPU by itself; may be repeated")(
      "json", file(),
      "every figure and every value as JSON (reports/README.md); - is stdout, without the text")(
      "csv", file(), "one row per measured value; - is stdout, without the text")(
      "no-intervals", "skip the 90 % intervals of serving runs: 16 simulations less for each")(
      "threads", options::value<std::string>()->value_name("N"), "threads (default: all cores)")(
      "quiet,q", "no progress on stderr")("help,h", "this text");
  add_rendered_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant validate FILE... [options]\n\n"
      "Predicts every row of measurement files (JSON Lines) and prints, for each kind and GPU, how far "
      "predicted and\n"
      "measured are apart. error = predicted / measured - 1; median, p90 and worst are of its size, bias is "
      "its "
      "median;\npercentiles interpolate linearly. Kernels need the profile of the row's GPU only; step rows "
      "stand on "
      "one node\nof that card as it usually is (NVLink for SXM, PCIe otherwise); serving and requests rows "
      "run their "
      "scenario.\nA row that nothing predicts is counted, with the reason.\n\n" +
      options_text(description) +
      "\nExample:\n"
      "  sextant validate tests/validation/trtllm-1.0.jsonl --fail-above serving:median=10 "
      "--json errors.json\n"
      "\nExit codes: 0 validated, 2 bad input (a file without rows is bad input), 4 an error is above its "
      "bound "
      "or\na bound met no predicted value, 130 interrupted.\n");
}

Texts texts(const ParsedWords& parsed, const std::string& option) {
  return parsed.has(option) ? parsed.options[option].as<Texts>() : Texts{};
}

}  // namespace

int run_validate(const Arguments& words) {
  const options::options_description description = validate_options();
  const ParsedWords parsed = parse_words("validate", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  if (parsed.arguments.empty())
    throw InputError(
        "validate: found no files, expected sextant validate FILE...; see sextant validate --help");
  std::vector<ErrorBound> bounds;
  for (const std::string& text : texts(parsed, "fail-above")) bounds.push_back(read_error_bound(text));
  const std::optional<std::string> json = parsed.text("json"), csv = parsed.text("csv");
  const RenderedFiles rendered("validate", parsed);
  check_writable("--json", json);
  check_writable("--csv", csv);

  ValidationOptions settings;
  settings.profiles = texts(parsed, "profile");
  settings.serving.intervals = !parsed.has("no-intervals");
  settings.serving.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  settings.serving.stop = watch_for_interrupt();
  Validation validation;
  {
    Progress progress("predicting rows", parsed.has("quiet"));
    if (isatty(STDERR_FILENO) == 1 && !parsed.has("quiet"))
      settings.progress = [&](int done, int total) { progress.show(done, total); };
    validation = validate(parsed.arguments, settings);
  }
  const std::string document =
      json || rendered.wanted()
          ? validation_json(validation, bounds, reproduction_command("validate", parsed))
          : "";
  write_result(json, document);
  rendered.write(document);
  write_result(csv, csv ? validation_csv(validation) : "");
  if (json != "-" && csv != "-" && !rendered.to_stdout())
    print(validation_text(validation, bounds, stdout_style()));
  const Texts failures = missed(bounds, validation.groups);
  if (!failures.empty())
    throw Error(ExitCode::threshold_missed,
                fmt::format("errors above their bounds: {}", fmt::join(failures, "; ")));
  return 0;
}

}  // namespace sextant
