#include "sim/cli/sweep_jobs.hpp"

#include <fmt/core.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "models/base/error.hpp"
#include "models/base/text_file.hpp"
#include "reports/launch/quoting.hpp"
#include "reports/launch/sweep_jobs.hpp"
#include "sim/cli/output.hpp"
#include "sim/sweep/shard.hpp"

namespace sextant {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t most_shards = 10000;

/// What says the grid again: --axis, and --yes where it was given.
std::vector<std::string> grid_words(const ParsedWords& parsed) {
  std::vector<std::string> words;
  for (const std::string& axis : parsed.options["axis"].as<std::vector<std::string>>())
    words.insert(words.end(), {"--axis", axis});
  if (parsed.has("yes")) words.emplace_back("--yes");
  return words;
}

int submit_slurm(const ParsedWords& parsed, SweepJobs jobs, const std::string& rows) {
  std::vector<std::string> words = {fs::absolute(parsed.arguments.front()).string()};
  if (parsed.has("set"))
    for (const std::string& change : parsed.options["set"].as<std::vector<std::string>>())
      words.insert(words.end(), {"--set", change});
  if (const auto seed = parsed.text("seed")) words.insert(words.end(), {"--seed", *seed});
  jobs.words.insert(jobs.words.begin(), words.begin(), words.end());
  const auto profiles = process_environment("SEXTANT_PROFILES");
  const SlurmScripts scripts =
      slurm_sweep(jobs, {fs::read_symlink("/proc/self/exe").string(), rows,
                         profiles && !profiles->empty() ? fs::absolute(*profiles).string() : std::string()});
  write_text_file(rows + "/array.sbatch", scripts.array);
  write_text_file(rows + "/merge.sbatch", scripts.merge);
  const std::string submit = rows + "/submit.sh";
  write_text_file(submit, scripts.submit);
  if (!parsed.has("start")) {
    print(fmt::format("bash {}\n", shell_word(submit)));
    return 0;
  }
  const char* arguments[] = {"bash", submit.c_str(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, "bash", nullptr, nullptr, const_cast<char**>(arguments), environ);
  int status = 0;
  if (error != 0 || waitpid(child, &status, 0) != child)
    throw Error(ExitCode::failure, fmt::format("bash {}: {}", submit, std::strerror(error)));
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
    throw Error(ExitCode::failure, fmt::format("bash {}: sbatch failed, see above", submit));
  return 0;
}

int submit_kubernetes(const ParsedWords& parsed, const SweepGrid& grid, SweepJobs jobs,
                      const std::string& rows) {
  const auto image = parsed.text("image"), claim = parsed.text("claim");
  if (!image || !claim)
    throw InputError(
        "--submit kubernetes: expected --image IMAGE that has sextant and --claim NAME of a volume");
  if (parsed.has("start"))
    throw InputError("--start: expected it with --submit slurm; kubectl applies the manifest");
  if (kubernetes_name(*claim) != *claim)
    throw InputError(fmt::format(
        "--claim: found '{}', expected a name of Kubernetes: lower case letters, digits, -", *claim));
  const std::string files = grid.named_files();
  if (!files.empty())
    throw InputError(
        fmt::format("--submit kubernetes: found a scenario that names the file {}, which no pod has; "
                    "expected models of the catalogue and no trace",
                    files));
  jobs.words.insert(jobs.words.begin(), scenario_in_pods);
  const std::string path = rows + "/sweep.yaml";
  write_text_file(path, kubernetes_sweep(jobs, {grid.scenario().object().text("name"), *image, *claim,
                                                grid.scenario().dump()}));
  print(fmt::format("kubectl apply -f {}\n", shell_word(path)));
  return 0;
}

}  // namespace

int submit_sweep(const ParsedWords& parsed, const SweepGrid& grid) {
  const std::string engine = *parsed.text("submit");
  if (engine != "slurm" && engine != "kubernetes")
    throw InputError(fmt::format("--submit: found '{}', expected slurm or kubernetes", engine));
  const auto rows = parsed.text("rows");
  const auto shards = parsed.whole_number("shards", 1, most_shards);
  if (!rows || !shards)
    throw InputError(fmt::format("--submit {}: expected --rows FOLDER and --shards N", engine));
  if (*shards > grid.points())
    throw InputError(
        fmt::format("--shards: found {}, expected at most the {} points", *shards, grid.points()));
  std::error_code error;
  fs::create_directories(*rows, error);
  if (error) throw InputError(fmt::format("--rows {}: {}", *rows, error.message()));
  SweepJobs jobs{grid.describe(), *shards, parsed.whole_number("threads", 1, 1024).value_or(1),
                 grid_words(parsed)};
  const std::string folder = fs::absolute(*rows).lexically_normal().string();
  return engine == "slurm" ? submit_slurm(parsed, std::move(jobs), folder)
                           : submit_kubernetes(parsed, grid, std::move(jobs), folder);
}

}  // namespace sextant
