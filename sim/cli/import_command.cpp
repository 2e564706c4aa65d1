#include <fmt/core.h>

#include <sstream>

#include "calibrate/import/kernel_tables.hpp"
#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "models/hardware/catalogue.hpp"
#include "sim/cli/command_line.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/table_origin.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

options::options_description import_options() {
  options::options_description description("Options", 100);
  description.add_options()("gpu", options::value<std::string>()->value_name("NAME"),
                            "catalogue name of the GPU that was measured")(
      "output,o", options::value<std::string>()->value_name("FILE")->default_value("-"),
      "where the measurements go; - is stdout")("help,h", "this text");
  return description;
}

void print_help(const options::options_description& description) {
  std::ostringstream list;
  list << description;
  print(
      "sextant import kernel-tables FOLDER --gpu NAME [-o FILE]\n\n"
      "Turns a folder of kernel tables (gemm_perf.csv.gz and its like) into a measurement file, JSON "
      "Lines.\n\n" +
      list.str() +
      "\nExample:\n  sextant import kernel-tables tables/h200_sxm --gpu h200-sxm -o h200.jsonl\n");
}

}  // namespace

int run_import(const Arguments& words) {
  const options::options_description description = import_options();
  const ParsedWords parsed = parse_words("import", words, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  if (parsed.arguments.size() != 2 || parsed.arguments[0] != "kernel-tables")
    throw InputError("import: expected kernel-tables and a folder; see sextant import --help");
  const std::optional<std::string> gpu = parsed.text("gpu"), output = parsed.text("output");
  if (!gpu) throw InputError("import: expected --gpu NAME; see sextant catalog gpus");
  check_writable("--output", output);
  const TableOrigin origin = table_origin(find_gpu(*gpu));
  TextFileWriter writer(*output);
  ImportReport report;
  import_kernel_tables(parsed.arguments[1], origin, report, [&](const Measurement& measurement) {
    writer.write(write_measurement(measurement) + "\n");
  });
  writer.commit();
  fmt::print(stderr, "{}", report.text());
  return 0;
}

}  // namespace sextant
