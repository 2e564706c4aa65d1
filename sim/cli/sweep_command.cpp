#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "models/base/error.hpp"
#include "reports/sweep_files.hpp"
#include "sim/cli/interrupt.hpp"
#include "sim/cli/output.hpp"
#include "sim/cli/rendered_files.hpp"
#include "sim/cli/scenario_input.hpp"
#include "sim/cli/sweep_jobs.hpp"
#include "sim/sweep/merge.hpp"
#include "sim/sweep/run.hpp"

namespace sextant {
namespace {

namespace options = boost::program_options;

/// A grid above this many points asks for --yes.
constexpr std::uint64_t points_without_asking = 100000;
constexpr std::uint64_t longest_wait_seconds = 30ULL * 24 * 3600;

options::options_description sweep_options() {
  options::options_description description("Options", 100);
  const auto text = [](const char* name) { return options::value<std::string>()->value_name(name); };
  description.add_options()(
      "axis", options::value<std::vector<std::string>>()->value_name("PATH=A,B,…")->composing(),
      "values that a path of the scenario takes, or first..last; may be repeated: every combination is a "
      "point")("csv", text("FILE"), "one row per point; - is stdout, without the text")(
      "json", text("FILE"), "every row as JSON (reports/README.md); - is stdout, without the text")(
      "rows", text("FOLDER"), "where rows go as they come: a run that was stopped resumes from there")(
      "shard", text("K/N"),
      "only every N-th point from the K-th on, into --rows; auto: the Slurm array task or "
      "Indexed Job's pod this is, which without --shard is looked for as well")(
      "merge", "put the shards in --rows together instead of computing")(
      "wait", text("SECONDS"), "with --merge: wait so long for points that are missing")(
      "yes", "compute a grid of more than 100,000 points")(
      "submit", text("ENGINE"), "write the jobs for slurm or kubernetes into --rows instead of computing")(
      "shards", text("N"), "with --submit: how many")("start", "with --submit slurm: submit them as well")(
      "image", text("IMAGE"), "with --submit kubernetes: a container image that has sextant")(
      "claim", text("NAME"),
      "with --submit kubernetes: the PersistentVolumeClaim for the rows (ReadWriteMany)");
  add_rendered_options(description);
  add_scenario_options(description);
  return description;
}

void print_help(const options::options_description& description) {
  print(
      "sextant sweep SCENARIO --axis PATH=A,B,… [options]\n"
      "sextant sweep --merge --rows FOLDER [--csv FILE] [--json FILE]\n\n"
      "Plans (deployment \"search\") or simulates (a fixed one) the scenario at every point of a grid, over "
      "threads. "
      "A\nrow has the axes' values, the best layout and its headline metrics. Rows and their order do not "
      "depend on\n"
      "threads or shards.\n\n" +
      options_text(description) +
      "\nExamples:\n"
      "  sextant sweep scenarios/h200-node-70b.json --axis workload.request_rate=2,4,8 \\\n"
      "    --axis workload.seed=1..5 --csv sweep.csv\n"
      "  sextant sweep scenarios/h200-node-70b.json --axis workload.seed=1..1000 --rows rows \\\n"
      "    --submit slurm --shards 8\n\n"
      "Exit codes: 0 done, 1 points are missing, 2 bad input, 130 interrupted (rows in --rows stay).\n");
}

/// The options of one run of the command.
struct SweepWords {
  explicit SweepWords(const ParsedWords& parsed)
      : csv(parsed.text("csv")),
        json(parsed.text("json")),
        rows(parsed.text("rows")),
        rendered("sweep", parsed),
        command(parsed.has("merge") ? "" : reproduction_command("sweep", parsed)) {
    check_writable("--csv", csv);
    check_writable("--json", json);
  }
  std::optional<std::string> csv, json, rows;
  RenderedFiles rendered;
  std::string command;  ///< empty where shards are merged: they do not know it

  void deliver(const SweepRows& sweep) const {
    write_result(json, json ? sweep_json(sweep) : "");
    if (rendered.wanted()) rendered.write(sweep_json(sweep, command));
    write_result(csv, csv ? sweep_csv(sweep) : "");
    if (json != "-" && csv != "-" && !rendered.to_stdout()) print(sweep_text(sweep, stdout_style()));
  }
};

std::optional<Shard> shard_of(const ParsedWords& parsed) {
  const std::optional<std::string> given = parsed.text("shard");
  if (given && *given != "auto") return read_shard(*given);
  const std::optional<Shard> found = shard_from(process_environment);
  if (given && !found)
    throw InputError(
        "--shard auto: found neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX, expected a Slurm array "
        "task or an "
        "Indexed Job's pod");
  return found;
}

/// The scenario with --set and --seed in it, so that it alone says what is computed.
JsonValue scenario_of(const ParsedWords& parsed) {
  const JsonValue document = read_document(scenario_path("sweep", parsed), parsed);
  const auto seed = parsed.whole_number("seed", 0, std::uint64_t{1} << 53);
  return seed ? with_changes(document, {{"workload.seed", fmt::format("{}", *seed)}}) : document;
}

SweepGrid grid_of(const ParsedWords& parsed) {
  if (!parsed.has("axis"))
    throw InputError(
        "sweep: found no axis, expected --axis PATH=A,B,… such as --axis workload.request_rate=1,2,4");
  std::vector<Axis> axes;
  for (const std::string& text : parsed.options["axis"].as<std::vector<std::string>>())
    axes.push_back(read_axis(text));
  const JsonValue document = scenario_of(parsed);
  for (const Axis& axis : axes) keep_named_files(document, axis.path(), axis.values_text(), parsed);
  const bool cluster_given =
      std::any_of(axes.begin(), axes.end(), [](const Axis& axis) { return axis.path() == "cluster"; });
  if (!cluster_given)
    expect_one_model(
        "sweep", document,
        fmt::format("run 'sextant plan {} --set PATH=VALUE' once for each point", parsed.arguments.front()));
  SweepGrid grid(document, std::move(axes));
  if (grid.points() > points_without_asking && !parsed.has("yes"))
    throw InputError(fmt::format("sweep: found {}; expected at most 100,000 points, or --yes to compute them",
                                 grid.describe()));
  expect_readable(grid);
  return grid;
}

SweepOptions run_options(const ParsedWords& parsed, Progress& progress) {
  SweepOptions settings;
  settings.threads = static_cast<int>(parsed.whole_number("threads", 1, 1024).value_or(0));
  settings.stop = watch_for_interrupt();
  settings.progress = [&progress](std::uint64_t done, std::uint64_t total) {
    progress.show(static_cast<int>(done), static_cast<int>(total));
  };
  return settings;
}

void make_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw InputError(fmt::format("--rows {}: {}", folder, error.message()));
}

MergedSweep merge_folder(const std::string& folder, std::uint64_t wait_seconds) {
  const std::atomic<bool>* stop = watch_for_interrupt();
  constexpr std::chrono::seconds between_looks{2};
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_seconds);
  while (true) {
    MissingPoints missing;
    const bool again = std::chrono::steady_clock::now() < deadline;
    try {
      MergedSweep merged = merge_shards(shard_files(folder), missing);
      if (missing.missing == 0) return merged;
      if (!again) throw Error(ExitCode::failure, fmt::format("{}: {}", folder, missing.text));
    } catch (const InputError&) {
      if (!again) throw;  // no shard has begun yet, or one is writing its first line
    }
    if (stop->load()) throw Interrupted();
    std::this_thread::sleep_for(between_looks);
  }
}

int merge(const ParsedWords& parsed, const SweepWords& words) {
  if (!words.rows) throw InputError("sweep --merge: expected --rows FOLDER, where the shards are");
  if (!parsed.arguments.empty() || parsed.has("axis"))
    throw InputError(
        "sweep --merge: found a scenario or an axis, expected --rows FOLDER alone: the shards know both");
  MergedSweep merged =
      merge_folder(*words.rows, parsed.whole_number("wait", 0, longest_wait_seconds).value_or(0));
  words.deliver({std::move(merged.identity), std::move(merged.rows)});
  return 0;
}

/// Computes a shard into its file; the number of rows it has then is its size.
void compute_shard(const ParsedWords& parsed, const SweepGrid& grid, const Shard& shard,
                   const std::string& folder) {
  make_folder(folder);
  const std::string path = (std::filesystem::path(folder) / shard.file_name()).string();
  ShardFile file(path, {grid.identity(SEXTANT_VERSION), grid.points(), shard});
  const bool quiet = parsed.has("quiet");
  if (!quiet)
    fmt::print(stderr, "sextant: shard {}: {} of {} points done before\n", shard.text(), file.rows(),
               shard.size(grid.points()));
  Progress progress("points", quiet);
  run_shard(grid, shard, file, run_options(parsed, progress));
}

}  // namespace

int run_sweep(const Arguments& arguments) {
  const options::options_description description = sweep_options();
  const ParsedWords parsed = parse_words("sweep", arguments, description);
  if (parsed.has("help")) {
    print_help(description);
    return 0;
  }
  const SweepWords words(parsed);
  if (parsed.has("merge")) return merge(parsed, words);
  if (parsed.has("wait")) throw InputError("--wait: expected it with --merge");
  const SweepGrid grid = grid_of(parsed);
  if (parsed.has("submit")) return submit_sweep(parsed, grid);
  const std::optional<Shard> shard = shard_of(parsed);
  if (shard) {
    if (!words.rows)
      throw InputError(fmt::format("--shard {}: expected --rows FOLDER, where its rows go", shard->text()));
    if (words.csv || words.json || words.rendered.wanted())
      throw InputError(
          fmt::format("--shard {}: found --csv, --json, --html or --markdown, expected them with --merge, "
                      "when all shards are there",
                      shard->text()));
    compute_shard(parsed, grid, *shard, *words.rows);
    return 0;
  }
  if (words.rows) {
    compute_shard(parsed, grid, {}, *words.rows);
    MissingPoints missing;
    MergedSweep merged =
        merge_shards({(std::filesystem::path(*words.rows) / Shard{}.file_name()).string()}, missing);
    words.deliver({std::move(merged.identity), std::move(merged.rows)});
    return 0;
  }
  SweepRows sweep;
  {
    Progress progress("points", parsed.has("quiet"));
    sweep.rows = run_sweep(grid, run_options(parsed, progress));
  }
  sweep.identity = grid.identity(SEXTANT_VERSION);
  words.deliver(sweep);
  return 0;
}

}  // namespace sextant
