#include "calibrate/measure/fabric/fabric_options.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <boost/program_options.hpp>
#include <sstream>

#include "calibrate/measure/common/size_text.hpp"
#include "models/base/error.hpp"
#include "models/base/json_reader.hpp"

namespace sextant::measure_fabric {
namespace {

namespace program_options = boost::program_options;

std::vector<std::string> parts_named(const std::string& text) {
  const std::vector<std::string> known = {"tcp", "rdma", "nccl"};
  std::vector<std::string> result;
  std::istringstream words(text);
  for (std::string word; std::getline(words, word, ',');) {
    if (std::find(known.begin(), known.end(), word) == known.end())
      throw InputError(fmt::format("fabric: --parts: found \"{}\", expected tcp, rdma or nccl{}", word,
                                   did_you_mean(word, known)));
    result.push_back(word);
  }
  if (result.empty()) throw InputError("fabric: --parts: found \"\", expected tcp, rdma or nccl");
  return result;
}

void check(const Options& options) {
  if (options.help || options.describe) return;
  constexpr int first_port = 1024, last_port = 60000;
  constexpr double most_seconds = 600;
  if (options.hosts_file.empty())
    throw InputError("fabric: found no --hosts, expected a file with a host on each line");
  if (!options.launch.empty() && options.launch != "local" &&
      options.launch.find("{host}") == std::string::npos)
    throw InputError(fmt::format(
        "fabric: --launch: found \"{}\", expected a command with {{host}} in it, or local", options.launch));
  if (!options.mpi.empty() && options.mpi.find("{hosts}") == std::string::npos)
    throw InputError(
        fmt::format("fabric: --mpi: found \"{}\", expected a command with {{hosts}} in it", options.mpi));
  if (options.port < first_port || options.port > last_port)
    throw InputError(fmt::format("fabric: --port: found {}, expected 1024 to 60000", options.port));
  if (!(options.seconds > 0) || options.seconds > most_seconds)
    throw InputError(
        fmt::format("fabric: --seconds: found {}, expected above 0, at most 600", options.seconds));
  measure::parse_size_list(options.sizes, "fabric: --sizes", 1);
  measure::parse_size_list(options.streams, "fabric: --streams", 1);
  if (!options.list && options.output.empty())
    throw InputError("fabric: found no -o, expected the measurement file to write, or '-'");
}

}  // namespace

Options parse_options(const std::vector<std::string>& arguments) {
  Options options;
  options.arguments = arguments;
  program_options::variables_map values;
  program_options::options_description known;
  known.add_options()("help,h", "")("list", "")("describe", "")("resume", "")("every-nic", "")(
      "hosts", program_options::value(&options.hosts_file))(
      "launch", program_options::value(&options.launch))("mpi", program_options::value(&options.mpi))(
      "program", program_options::value(&options.program))(
      "output,o", program_options::value(&options.output))("parts", program_options::value<std::string>())(
      "sizes", program_options::value(&options.sizes))("streams", program_options::value(&options.streams))(
      "seconds", program_options::value(&options.seconds))("port", program_options::value(&options.port));
  try {
    using Style = program_options::command_line_style::style_t;
    const program_options::positional_options_description none;
    program_options::store(program_options::command_line_parser(arguments)
                               .options(known)
                               .positional(none)
                               .style(Style::default_style & ~Style::allow_guessing)
                               .run(),
                           values);
    program_options::notify(values);
  } catch (const program_options::error& error) {
    throw InputError(fmt::format("fabric: {}; see sextant-measure fabric --help", error.what()));
  }
  options.help = values.contains("help");
  options.list = values.contains("list");
  options.describe = values.contains("describe");
  options.resume = values.contains("resume");
  options.every_nic = values.contains("every-nic");
  if (values.contains("parts")) options.parts = parts_named(values["parts"].as<std::string>());
  check(options);
  return options;
}

std::string usual_launcher(bool in_slurm_job, bool has_mpirun) {
  if (in_slurm_job) return "srun --overlap --nodes=1 --ntasks=1 --nodelist={host}";
  if (has_mpirun) return "mpirun -n 1 --host {host}";
  return "ssh -o BatchMode=yes {host}";
}

std::string help_text() {
  return R"(sextant-measure fabric --hosts FILE -o fabric.jsonl [options]

The whole network of a cluster in one file: what each host has (NICs, GPUs, their distance on PCIe), and between every
two hosts TCP, RDMA of every NIC, and NCCL. It starts sextant-measure's own verbs on the hosts, one pair after another.

  sextant-measure fabric --hosts hosts -o fabric.jsonl                       # srun in a Slurm job, else mpirun, else ssh
  sextant-measure fabric --hosts hosts --launch 'ssh {host}' -o fabric.jsonl
  sextant-measure fabric --hosts hosts --list                                # what would run

  --hosts FILE      as MPI's: a host on each line; `address=10.0.0.1` after it: where the others measure to
  --launch COMMAND  how a command starts on a host, with {host} in it; `local`: on this one, whatever its name
  --mpi COMMAND     how one process for each of {n} GPUs starts on {hosts}: 'mpirun -n {n} --host {hosts}'
  --program PATH    sextant-measure on the hosts (this one's path)
  --parts LIST      tcp,rdma,nccl                --every-nic  every NIC with every NIC, not only with its like
  --sizes LIST      of RDMA messages (2,64K,8M)  --streams LIST  of TCP (1,8)
  --seconds S       of each point (1)            --port N     TCP port of the first conversation (18600)
  -o, --output FILE measurement file, '-' is stdout; --resume adds what is missing
  --describe        prints what this host has, and ends
)";
}

}  // namespace sextant::measure_fabric
